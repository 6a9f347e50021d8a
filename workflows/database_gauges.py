"""What the ledger says of itself, at a scrape: remembered for some seconds, and never waited for at length.

Web and worker answer the same; whoever adds up over processes takes the greatest, not the sum.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from billing.ledger import findings
from billing.ledger.consistency import Kind
from billing.ledger.engines import create_engine
from billing.ledger.monitoring import Monitored, monitored
from billing.settings import Settings

log = structlog.get_logger(__name__)

REMEMBERED_FOR_S = 5.0
# Less than a scraper's usual patience of ten seconds.
ANSWER_WITHIN_S = 3.0
STATEMENT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database gave; None is what it didn't. `findings` are open differences by kind."""

    figures: Monitored | None
    findings: Mapping[Kind, int] | None
    read_at_s: float


class DatabaseGauges(Collector):
    """One a process, with a connection of its own for the time of reading: a pool that is used up must not hide it."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._engine: Engine | None = None
        self._asking = threading.Lock()
        self._asked: Future[_Known] | None = None
        self._known: _Known | None = None
        self._background = ThreadPoolExecutor(1, thread_name_prefix="metrics-database")

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Says nothing, so that registering asks nothing."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Without the database: that it isn't there, and no figures, rather than old ones."""
        known = self._newest()
        figures = known.figures if known else None
        yield _gauge("pave_database_up", "Whether PostgreSQL answered within 3 s.", figures is not None)
        if figures is not None:
            yield from _families(figures)
        if known is not None and known.findings is not None:
            yield _by_kind(known.findings)

    def _newest(self) -> _Known | None:
        with self._asking:
            if self._known and time.monotonic() - self._known.read_at_s < REMEMBERED_FOR_S:
                return self._known
            # One that hangs is waited for anew at the next scrape; no second one is sent after it.
            if self._asked is None or self._asked.done():
                self._asked = self._background.submit(self._read)
            asked = self._asked
        try:
            self._known = asked.result(ANSWER_WITHIN_S)
        except TooSlow:
            return None
        return self._known

    def _read(self) -> _Known:
        figures: Monitored | None = None
        counts: Mapping[Kind, int] | None = None
        engine = self._own_engine()
        try:
            settings = self._settings
            figures = monitored(engine, samples=settings.sample_rates, stale_after=settings.rates_stale_after)
            counts = findings.counts(engine)
        except Exception as error:
            # A scrape answers whatever happened to the database.
            log.warning("metrics_without_database", error=type(error).__qualname__)
        finally:
            engine.dispose()
        return _Known(figures, counts, time.monotonic())

    def _own_engine(self) -> Engine:
        if self._engine is None:
            self._engine = create_engine(self._settings.database_url, statement_timeout_s=STATEMENT_TIMEOUT_S)
        return self._engine


def _families(figures: Monitored) -> Iterator[GaugeMetricFamily]:
    yield _gauge("pave_bills_open", "Open bills, as the overview counts them.", figures.bills_open)
    yield _gauge("pave_bills_overdue", "Open bills past their end; 10,000 at most.", figures.bills_overdue)
    yield _gauge("pave_bills_overdue_seconds", "For how long the first of them has been.", figures.most_overdue_s)
    yield _gauge("pave_bills_closing", "Bills whose closing was asked for; 10,000 at most.", figures.bills_closing)
    yield _gauge("pave_bills_closing_late", "Those asked for more than a minute ago.", figures.bills_closing_late)
    yield _gauge("pave_requests_pending", "Stored requests nobody decided yet.", figures.requests_pending)
    yield _gauge("pave_workflows_behind", "Workflows that missed a change for minutes.", figures.workflows_behind)
    yield _gauge("pave_events_not_counted", "Events that sums do not follow yet.", figures.events_not_counted)
    yield _gauge("pave_sums_age_seconds", "Age of the overview's sums.", figures.sums_age_s)
    yield _gauge("pave_worker_heartbeat_age_seconds", "Since any worker gave a sign.", figures.heartbeat_age_s)
    yield _gauge("pave_rates_age_seconds", "Age of the rates in use, by their provider.", figures.rates_age_s)
    yield _gauge("pave_rates_stale", "1 when rates are too old, or there are none.", figures.rates_stale)
    yield _gauge("pave_rates_in_quarantine", "1 when rates await a decision.", figures.rates_in_quarantine)
    yield _gauge(
        "pave_webhooks_pending", "Events that are queued for webhooks; 10,000 at most.", figures.webhooks_pending
    )
    yield _gauge(
        "pave_webhooks_late_seconds", "Since a webhook should have been looked after.", figures.webhooks_late_s
    )
    yield _gauge(
        "pave_imports_oldest_seconds", "Since the first import that isn't done was begun.", figures.oldest_import_s
    )
    yield _labelled(
        "pave_webhook_endpoints_paused", "Paused webhook endpoints.", "reason", figures.webhook_endpoints_paused
    )


def _gauge(name: str, help_text: str, value: float | None) -> GaugeMetricFamily:
    """A family without a sample where there is no value: absent is not 0."""
    return GaugeMetricFamily(name, help_text, value=None if value is None else float(value))


def _by_kind(counts: Mapping[Kind, int]) -> GaugeMetricFamily:
    """Every kind, at 0 too: of a series that begins with its first difference no alert sees the increase."""
    every = {kind.value: counts.get(kind, 0) for kind in Kind}
    return _labelled("pave_findings", "Open findings of the reconciler by kind.", "kind", every)


def _labelled(name: str, help_text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family
