"""What web and worker count of their dealings with Temporal, and what the sweep does; for Prometheus.

Labels are few and fixed: no id of anything or anybody is one. Durations are in seconds. How a process shares its values
with others is its own affair (webapp/metrics_files.py); nothing here listens or connects.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

# Twice the wait for a close, so that what is given up on at two seconds stands apart from what took as long.
UPDATE_BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0)

_UPDATES = Histogram(
    "pave_update_seconds",
    "How long updates of bills' workflows took that a request waited for, answered or given up.",
    ("update", "outcome"),
    buckets=UPDATE_BUCKETS_S,
)
_TOLD = Counter(
    "pave_signals",
    "Notices to bills' workflows: sent, failed, or left to the sweep because Temporal had just failed.",
    ("outcome",),
)
# The longest that a receiver is waited for is ten seconds.
ATTEMPT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0)
_ATTEMPTS = Histogram(
    "pave_webhook_attempt_seconds",
    "How long attempts to send a webhook took, by what came of them: delivered, refused (an answer other than 2xx), or"
    " why there was no whole answer.",
    ("outcome",),
    buckets=ATTEMPT_BUCKETS_S,
)
_ROUNDS = Counter("pave_sweep_rounds", "Rounds of the sweep by kind and outcome.", ("round", "outcome"))
_CLOSED = Counter("pave_sweep_bills_closed", "Bills that the sweep closed because they were due.")
_CAUGHT_UP = Counter("pave_sweep_workflows_told", "Workflows that the sweep told what they had not heard.")


@contextmanager
def timed_update(update: str) -> Iterator[None]:
    began, outcome = time.perf_counter(), "unavailable"
    try:
        yield
        outcome = "answered"
    finally:
        _UPDATES.labels(update, outcome).observe(time.perf_counter() - began)


def told(outcome: str) -> None:
    """`outcome` is sent, failed or left."""
    _TOLD.labels(outcome).inc()


def webhook_attempted(outcome: str, latency_ms: int) -> None:
    """`outcome` is delivered, refused, or a failure's name."""
    _ATTEMPTS.labels(outcome).observe(latency_ms / 1_000)


def swept(round_name: str, outcome: str) -> None:
    """`outcome` is done or failed."""
    _ROUNDS.labels(round_name, outcome).inc()


def closed_by_sweep(bills: int) -> None:
    _CLOSED.inc(bills)


def told_by_sweep(workflows: int) -> None:
    _CAUGHT_UP.inc(workflows)
