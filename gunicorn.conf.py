"""The web server's settings, in production (Procfile) and under bin/dev alike."""

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Any

bind = f"{os.environ.get('BIND_ADDRESS', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"  # noqa: S104 - a proxy reaches it

# With threads, since requests wait for PostgreSQL, and closes for Temporal. Never `preload_app`: the
# Temporal client doesn't survive a fork.
worker_class = "webapp.web_worker.WebWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "32"))
preload_app = False

timeout = 30
# A request's headers say nothing about where the application lies.
forwarder_headers = ""
# Longer than any proxy or client keeps an idle connection: closed by us at the moment it is used again, a request would
# be lost on its way.
keepalive = 90
# Requests are short; whatever still runs after this is cut off.
graceful_timeout = 5

# The application logs its requests itself.
accesslog = None
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")
logger_class = "webapp.server_log.ServerLog"
# A socket under the home of whoever runs it, which nobody here uses.
control_socket_disable = True
# Heartbeats are file times: in memory, so that a busy disk doesn't look like a hung worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a shared file


LOADED_ONCE = (
    "authlib.integrations.flask_client",
    "flask_sqlalchemy",
    "flask_wtf",
    "psycopg",
    "segno",
    "sqlalchemy.dialects.postgresql.psycopg",
    "structlog",
    "temporalio.client",
    "temporalio.contrib.pydantic",
)


def on_starting(server: Any) -> None:
    """With METRICS_PORT the processes count in files that they share, and listen for scrapers at one socket."""
    from webapp import metrics_files  # noqa: PLC0415 - nothing of it in a server that serves something else
    from webapp.identity.rate_counts import Counts  # noqa: PLC0415
    from webapp.live.bell import Neighbours  # noqa: PLC0415
    from workflows import scraping  # noqa: PLC0415

    # Twice as many as there are: while a reload lasts, old ones and new ones live side by side.
    server.live_neighbours = Neighbours(2 * workers)
    server.rate_counts = Counts(2 * workers)
    server.metrics_directory = server.metrics_listener = None
    # Whoever started this one may count in files of its own, and takes them along when it goes.
    os.environ.pop(metrics_files.VARIABLE, None)
    if address := scraping.address_in(os.environ, "METRICS_PORT"):
        try:
            server.metrics_listener = scraping.listener_at(address)
        except OSError as error:
            # As while a new server takes over from an old one. Bills matter more than their figures.
            server.log.warning("No metrics: %s:%s can't be listened at: %s", *address, error.strerror)
            return
        server.metrics_directory = metrics_files.make_directory()


def when_ready(_server: object) -> None:
    """What every process needs of others' packages is loaded once, before the fork: a process starts, and starts
    again, in a third of the time, and they share its memory. Our own is loaded after it, as a reload expects;
    nothing connects and no thread begins."""
    for package in LOADED_ONCE:
        importlib.import_module(package)
    # Nothing of this is garbage: a collection that looked through it would copy its pages.
    gc.freeze()


def pre_fork(server: Any, worker: Any) -> None:
    from webapp import metrics_files  # noqa: PLC0415

    worker.metrics_slot = metrics_files.free_slot({other.metrics_slot for other in server.WORKERS.values()})


def post_fork(server: Any, worker: Any) -> None:
    worker.metrics_listener = server.metrics_listener
    worker.live_neighbours = server.live_neighbours
    worker.rate_counts = server.rate_counts
    if server.metrics_directory:
        from webapp import metrics_files  # noqa: PLC0415

        metrics_files.take_slot(worker.metrics_slot)


def child_exit(server: Any, worker: Any) -> None:
    if server.metrics_directory:
        from webapp import metrics_files  # noqa: PLC0415

        metrics_files.forget_gauges(server.metrics_directory, worker.metrics_slot)


def on_exit(server: Any) -> None:
    if server.metrics_directory:
        from webapp import metrics_files  # noqa: PLC0415

        metrics_files.remove(server.metrics_directory)


def post_worker_init(worker: Any) -> None:
    """Streams are told when the process is to end: they would hold on to it for all of its grace."""
    system = worker.wsgi.extensions.get("pave")
    if system:  # the benchmark serves other applications with these settings too
        for each in (system, system.of_test_mode):
            each.live.stop_when(lambda: not worker.alive)
        if worker.metrics_slot < len(worker.live_neighbours):
            system.live.live_beside(worker.live_neighbours, worker.metrics_slot)
        if worker.metrics_slot < len(worker.rate_counts):
            system.rate_limiter.count_beside(worker.rate_counts, worker.metrics_slot)
        if worker.metrics_listener:
            from webapp import metrics  # noqa: PLC0415 - after the process has its slot
            from workflows import scraping  # noqa: PLC0415

            metrics.keep_gauges(system)
            scraping.serve(worker.metrics_listener, metrics.renderer(system))


def worker_exit(server: object, worker: object) -> None:
    """The Temporal SDK can abort while the interpreter ends, after all work is done: end without that."""
    if tracing := sys.modules.get("workflows.tracing"):
        tracing.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    code = getattr(sys.exc_info()[1], "code", 0)
    os._exit(code if isinstance(code, int) else 1)
