"""The web server's settings, in production (Procfile) and under bin/dev alike."""

import os
import sys
from pathlib import Path
from typing import Any

bind = f"{os.environ.get('BIND_ADDRESS', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"  # noqa: S104 - a proxy reaches it

# Threads, since requests wait for PostgreSQL, and closes for Temporal. Never `preload_app`: the
# Temporal client doesn't survive a fork.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "32"))
preload_app = False

timeout = 30
# Longer than any proxy or client keeps an idle connection: closed by us at the moment it is used again, a request would
# be lost on its way.
keepalive = 90
# Requests are short; whatever still runs after this is cut off.
graceful_timeout = 5

# The application logs its requests itself.
accesslog = None
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")
# A socket under the home of whoever runs it, which nobody here uses.
control_socket_disable = True
# Heartbeats are file times: in memory, so that a busy disk doesn't look like a hung worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a shared file


def post_worker_init(worker: Any) -> None:
    """Streams are told when the process is to end: they would hold on to it for all of its grace."""
    worker.wsgi.extensions["pave"].live.stop_when(lambda: not worker.alive)


def worker_exit(server: object, worker: object) -> None:
    """The Temporal SDK can abort while the interpreter ends, after all work is done: end without that."""
    sys.stdout.flush()
    sys.stderr.flush()
    code = getattr(sys.exc_info()[1], "code", 0)
    os._exit(code if isinstance(code, int) else 1)
