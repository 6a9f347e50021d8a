"""What needs somebody: rates, late bills, the worker, Temporal; a few seconds old, for the rail of every page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from billing.bill import Bill
from billing.ledger import findings, overview, webhook_endpoints
from billing.ledger import rates as stored_rates
from billing.ledger.overview import MOST_COUNTED, Late, Standing
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.settings import Settings
from webapp.formatting import duration, instant
from webapp.rates import RatesInUse

if TYPE_CHECKING:
    from webapp.system import System

ATTENTION_FOR_S = 5.0
LATE_AFTER = timedelta(minutes=1)
WORKER_SILENT_AFTER = timedelta(seconds=30)
COUNTED_LATE_AFTER = timedelta(minutes=1)
TEMPORAL_FOR_S = 10.0
MOMENT_S = 0.25


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that needs somebody: what, why, since when if that is known, and where to go (`endpoint` with its
    `arguments`). `repair` is the endpoint of a form that administrators may send; `for_administrators`: nobody else
    may go there."""

    name: str
    title: str
    cause: str
    link: str
    endpoint: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    bills: Sequence[Bill] = ()
    is_grave: bool = False
    since: datetime | None = None
    repair: str | None = None
    repair_label: str = ""
    for_administrators: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """`findings` is how many differences are open; they are one concern."""

    open_bills: int
    concerns: tuple[Concern, ...]
    findings: int = 0

    @property
    def count(self) -> int:
        return len(self.concerns) + max(self.findings - 1, 0)


class TemporalReach:
    """Whether Temporal answers, asked in the background: nobody waits for it longer than a moment."""

    def __init__(self, ask: Callable[[], Future[bool]]):
        self._ask = ask
        self._asked: Future[bool] | None = None
        self._asked_at_s = 0.0
        self._known: bool | None = None
        self._asking = threading.Lock()

    def __call__(self) -> bool | None:
        """None while nobody knows."""
        with self._asking:
            if self._asked is None or (self._asked.done() and time.monotonic() - self._asked_at_s > TEMPORAL_FOR_S):
                self._asked, self._asked_at_s = self._ask(), time.monotonic()
            asked = self._asked
        if self._known is None:
            wait([asked], timeout=MOMENT_S)
        if asked.done() and not asked.cancelled():
            self._known = asked.exception() is None and asked.result()
        return self._known


def look(system: System) -> Attention:
    """As of now, but for Temporal. The graver comes first. Of test mode only what waits for somebody there: all else
    is live bills' too, and stands with them."""
    standing = overview.standing(system.engine, patience=LATE_AFTER)
    if system.is_test:
        return Attention(standing.open_bills, tuple(_webhooks(webhook_endpoints.failing(system.engine))))
    found = findings.count_open(system.engine)
    concerns = [
        *_late_bills(standing),
        *_findings(found),
        *_machinery(standing, reachable=system.temporal_reach()),
        *_rates(system, system.rates.current()),
        *_webhooks(webhook_endpoints.failing(system.engine)),
    ]
    graver_first = tuple(sorted(concerns, key=lambda concern: not concern.is_grave))
    return Attention(standing.open_bills, graver_first, found)


def _findings(found: int) -> Iterator[Concern]:
    if found:
        many = f"{found:,}+" if found >= findings.MOST_COUNTED else f"{found:,}"
        yield Concern(
            "findings",
            f"{many} {'difference was' if found == 1 else 'differences were'} found",
            "What is stored, and what workflows have heard of it, is compared all the time. Each difference stands"
            " there with its cause, and goes by itself when it is no more.",
            "Differences",
            "pages.show_attention",
        )


def _late_bills(standing: Standing) -> Iterator[Concern]:
    if standing.overdue.count:
        yield Concern(
            "overdue",
            f"{_bills(standing.overdue)} past the end and not closed",
            "What is due closes within a second while a worker runs. Nothing is added to these bills meanwhile, and"
            " they close with the figures and the rates of their end.",
            "Open bills",
            "pages.list_bills",
            {"status": "open"},
            standing.overdue.bills,
            is_grave=True,
            since=min((bill.period.end for bill in standing.overdue.bills), default=None),
            repair="pages.close_what_is_due",
            repair_label="Close them now",
        )
    if standing.closing.count:
        yield Concern(
            "closing",
            f"{_bills(standing.closing)} closing for more than a minute",
            "Closing was asked for and is not carried out yet. A worker finishes it by itself.",
            "Closing bills",
            "pages.list_bills",
            {"status": "closing"},
            standing.closing.bills,
            is_grave=True,
            since=min((b.close_requested_at for b in standing.closing.bills if b.close_requested_at), default=None),
            repair="pages.close_what_is_due",
            repair_label="Close them now",
        )


def _machinery(standing: Standing, *, reachable: bool | None) -> Iterator[Concern]:
    silent = standing.beat is None or standing.beat > WORKER_SILENT_AFTER
    state = ("State of the system", "health.readyz", {"strict": "1"})
    if silent:
        last = f"The last sign was {duration(standing.beat)} ago." if standing.beat else "None ever gave one."
        yield Concern(
            "worker",
            "No worker gives a sign of life",
            f"{last} Bills take items and can be read; what is due closes once a worker runs.",
            *state,
            is_grave=True,
            since=_ago(standing.beat),
        )
    if reachable is False:
        yield Concern(
            "temporal",
            "Temporal is out of reach",
            "Bills accrue and close without it; their workflows hear of it afterwards.",
            *state,
            is_grave=True,
        )
    if standing.workflows_behind:
        many = standing.workflows_behind != 1
        yield Concern(
            "behind",
            f"{standing.workflows_behind:,} {'workflows are' if many else 'workflow is'} behind",
            "For more than two minutes they have not heard how their bills stand. What is stored is right; the worker"
            " goes on telling them.",
            *state,
        )
    if not silent and (standing.counted is None or standing.counted > COUNTED_LATE_AFTER):
        age = f"They are {duration(standing.counted)} old." if standing.counted else "They are not complete yet."
        yield Concern(
            "sums",
            "The sums of this page are behind",
            f"{age} The worker is catching up.",
            *state,
            since=_ago(standing.counted),
        )


def _webhooks(failing: Sequence[WebhookEndpoint]) -> Iterator[Concern]:
    if failing:
        count, hosts = len(failing), ", ".join(dict.fromkeys(endpoint.host for endpoint in failing[:3]))
        one = ("Webhook", "pages.show_webhook", {"endpoint_id": str(failing[0].id)})
        yield Concern(
            "webhooks",
            f"{count} webhook {'endpoint is' if count == 1 else 'endpoints are'} paused",
            f"Nothing arrived for a long time at {hosts}{' and others' if count > 3 else ''}. What happens meanwhile is"
            " kept, and is sent once an administrator resumes it.",
            *(one if count == 1 else ("Webhooks", "pages.list_webhooks")),
            since=min(endpoint.failing_since or endpoint.updated_at for endpoint in failing),
            for_administrators=True,
        )


def _rates(system: System, rates: RatesInUse) -> Iterator[Concern]:
    settings: Settings = system.config.settings
    place = ("Rates", "pages.show_rates")
    if settings.sample_rates:
        yield Concern(
            "rates-sample",
            "Rates are samples",
            "No provider is configured: conversions are good for trying out and for nothing else.",
            *place,
        )
        return
    if rates.snapshot is None:
        yield Concern(
            "rates-none",
            "There are no rates",
            f"{_last_attempt(system)} Conversions wait for them.",
            *place,
            repair="pages.refresh_rates",
            repair_label="Fetch rates now",
        )
    elif rates.stale:
        yield Concern(
            "rates-stale",
            "Rates are stale",
            f"They are of {instant(rates.snapshot.provider_time)} UTC, {duration(rates.snapshot.age(rates.as_of))} old."
            f" {_last_attempt(system)}",
            *place,
            since=rates.snapshot.provider_time + settings.rates_stale_after,
            repair="pages.refresh_rates",
            repair_label="Fetch rates now",
        )
    pending = stored_rates.quarantined(system.engine)
    if pending is not None:
        codes = ", ".join(move.currency for move in pending.moves)
        yield Concern(
            "rates-quarantined",
            "Rates await a decision",
            f"These moved by more than a factor of two: {codes}. Until an administrator accepts them or three fetches"
            " agree, the rates before serve.",
            "Decide",
            "pages.show_rates",
            since=pending.snapshot.fetched_at,
        )


def _ago(age: timedelta | None) -> datetime | None:
    return datetime.now(UTC) - age if age is not None else None


def _last_attempt(system: System) -> str:
    attempts = stored_rates.attempts(system.engine, limit=1)
    if not attempts:
        return "Nobody has asked the provider yet."
    return f"The last attempt to fetch rates ended with: {attempts[0].outcome.replace('_', ' ')}."


def _bills(late: Late) -> str:
    count = f"{late.count:,}+" if late.count >= MOST_COUNTED else f"{late.count:,}"
    return f"{count} bill is" if late.count == 1 else f"{count} bills are"
