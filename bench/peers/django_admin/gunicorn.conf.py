"""The web's own settings, without what they do for the system alone."""

from runpy import run_path

globals().update(
    {
        name: value
        for name, value in run_path("gunicorn.conf.py").items()
        if not callable(value) and name != "logger_class"
    }
)
