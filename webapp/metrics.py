"""What the web processes count: requests by route, and how much of each process is in use. Served at METRICS_PORT.

Routes are templates, never addresses; what has no route is counted as one. No id of anything or anybody is a label.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.pool import QueuePool

from webapp.metrics_files import VARIABLE
from workflows.database_gauges import DatabaseGauges

if TYPE_CHECKING:
    from webapp.system import System

# Adding an item takes single milliseconds, a close may wait two seconds, a large PDF takes some.
BUCKETS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
GAUGES_EVERY_S = 1.0

_REQUESTS = Counter("pave_requests", "Requests by route, method and status.", ("route", "method", "status"))
_SECONDS = Histogram(
    "pave_request_seconds", "Until the answer begins, by route and method.", ("route", "method"), buckets=BUCKETS_S
)
_STREAMS = Gauge("pave_streams_open", "Streams of live pages.", multiprocess_mode="livesum")
_IN_USE = Gauge("pave_pool_connections_in_use", "Database connections in use.", multiprocess_mode="livesum")
_POOL = Gauge("pave_pool_connections_most", "How many there may be.", multiprocess_mode="livesum")
_LAG = Gauge("pave_signal_lag_seconds", "For how long the oldest notice waits to be sent.", multiprocess_mode="livemax")


def count_requests(app: Flask) -> None:
    """Counts what logs.log_requests has timed."""

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else NO_ROUTE
        method = request.method if request.method in METHODS else "other"
        _REQUESTS.labels(route, method, str(response.status_code)).inc()
        began = g.get("started_s")
        if began is not None:
            _SECONDS.labels(route, method).observe(time.perf_counter() - began)
        return response


def keep_gauges(system: System) -> None:
    """Lets this process say how much of it is in use, each second, until it ends."""
    threading.Thread(target=_keep, args=(system,), name="gauges", daemon=True).start()


def renderer(system: System) -> Callable[[], bytes]:
    """What a scrape of any of the processes answers: the values of all of them, and the database's."""
    gauges = DatabaseGauges(system.config.settings)

    def render() -> bytes:
        directory = os.environ.get(VARIABLE)
        registry = CollectorRegistry() if directory else REGISTRY
        if directory:
            MultiProcessCollector(registry, directory)
        database = CollectorRegistry()
        database.register(gauges)
        return bytes(generate_latest(registry) + generate_latest(database))

    return render


def _keep(system: System) -> None:
    while True:
        set_gauges(system)
        time.sleep(GAUGES_EVERY_S)


def set_gauges(system: System) -> None:
    pool = system.engine.pool
    if isinstance(pool, QueuePool):
        _IN_USE.set(pool.checkedout())
        _POOL.set(pool.size())
    _STREAMS.set(system.live.count())
    _LAG.set(system.workflows.lag_s())
