"""The web's own processes, threads and waits, without what it does for the system alone."""

from runpy import run_path

SHARED = ("bind", "worker_class", "workers", "threads", "timeout", "keepalive", "graceful_timeout", "loglevel")
system = run_path("gunicorn.conf.py")
globals().update({name: system[name] for name in SHARED})
control_socket_disable = True
worker_tmp_dir = system["worker_tmp_dir"]
