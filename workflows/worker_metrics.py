"""The worker's metrics at WORKER_METRICS_PORT: its own, the database's, and those of Temporal's SDK behind them.

The SDK serves its figures itself, at a port that only this process asks.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from billing.settings import Settings
from workflows import scraping
from workflows.database_gauges import DatabaseGauges

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
SDK_WITHIN_S = 2.0
# Another process may take the free port that was found before the SDK listens there.
TRIES = 5


def serve(settings: Settings, address: scraping.Address) -> Runtime:
    """Answers the runtime to connect with. Raises OSError when somebody else listens at the address."""
    listener = scraping.listener_at(address)
    runtime, port = _measured_runtime()
    database = CollectorRegistry()
    database.register(DatabaseGauges(settings))
    scraping.serve(listener, lambda: generate_latest() + generate_latest(database) + _of_the_sdk(port))
    return runtime


def _measured_runtime() -> tuple[Runtime, int]:
    for _ in range(TRIES - 1):
        try:
            return _runtime_at(port := _free_port()), port
        except (RuntimeError, ValueError):
            log.info("metrics_port_taken")
    return _runtime_at(port := _free_port()), port


def _runtime_at(port: int) -> Runtime:
    config = PrometheusConfig(
        f"{LOOPBACK}:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=config))


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _of_the_sdk(port: int) -> bytes:
    """Nothing while it doesn't answer: the other figures count without."""
    connection = HTTPConnection(LOOPBACK, port, timeout=SDK_WITHIN_S)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    except (OSError, HTTPException):
        return b""
    finally:
        connection.close()
