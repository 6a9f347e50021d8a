"""What an open page shows of its bill, in one word: equal words, nothing to send."""

from __future__ import annotations

from datetime import datetime

from billing.bill import BillStatus
from billing.ledger.standings import Standing
from webapp.formatting import duration
from webapp.rates import RatesInUse


def seen(version: int, links: int, rates: RatesInUse, closes_in: str | None, currency: str) -> str:
    """Stands for everything on the page that may change by itself, but for items and events."""
    snapshot = rates.snapshot.id if rates.snapshot else "none"
    parts = (version, links, snapshot, rates.stale, closes_in, currency)
    return "~".join(str(part).replace(" ", "") for part in parts)


def seen_of(standing: Standing, rates: RatesInUse, currency: str) -> str:
    """The same of a bill that isn't closed, known by its standing alone."""
    ends_in = closes_in(standing.status, standing.period_end, rates.as_of)
    return seen(standing.version, standing.links, rates, ends_in, currency)


def closes_in(status: str, period_end: datetime, now: datetime) -> str | None:
    """None once the end has passed, and for a bill that is no longer open."""
    return duration(period_end - now) if status == BillStatus.OPEN and now < period_end else None
