"""What the web server loads before it forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = """
import runpy, sys, threading
runpy.run_path("gunicorn.conf.py")["when_ready"](None)
ours = {"billing", "webapp", "workflows", "prometheus_client"} & {name.partition(".")[0] for name in sys.modules}
assert not ours, f"loaded before the fork: {ours}"
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
before = set(sys.modules)
import webapp.app
packages = {"authlib", "flask_sqlalchemy", "flask_wtf", "psycopg", "segno", "structlog", "temporalio"}
late = {name for name in set(sys.modules) - before if name.partition(".")[0] in packages}
print(len(late))
"""


def test_nothing_of_ours_and_no_thread_but_most_of_what_others_wrote() -> None:
    """A thread doesn't survive the fork, what counts must know its process, and a reload expects our modules anew."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 30
