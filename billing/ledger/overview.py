"""Reading for the overview: sums that follow the log, and the few bills that come next or are late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, text

from billing import money
from billing.bill import Bill, BillStatus
from billing.ledger import modes
from billing.ledger.clock import now
from billing.ledger.database import snapshot
from billing.ledger.reads import bills_by_id
from billing.money import Payable

MOST_COUNTED = 1_000
BILLS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Accruing:
    """What open bills come to in one currency: the payables of the bills, each rounded on its bill, added."""

    bills: int
    payable: Payable


@dataclass(frozen=True, slots=True)
class Overview:
    """`now` by the database's clock; `counted_at` is how old the sums are, None before they were ever complete."""

    now: datetime
    counted_at: datetime | None
    accruing: tuple[Accruing, ...]
    states: Mapping[BillStatus, int]
    closed_bills: int
    closed_payables: tuple[tuple[str, Decimal], ...]
    accrual_currencies: tuple[str, ...]
    accrual: Mapping[date, Decimal]
    closing_soon: Sequence[Bill]


@dataclass(frozen=True, slots=True)
class Late:
    """Bills that should be further than they are, the latest first: how many (at most MOST_COUNTED), and some."""

    count: int
    bills: Sequence[Bill]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the machinery stands: `counted` and `beat` are ages, None when it never happened."""

    open_bills: int
    overdue: Late
    closing: Late
    counted: timedelta | None
    beat: timedelta | None
    workflows_behind: int


def read(engine: Engine, *, currency: str, days: int, bills: int) -> Overview:
    """All at one instant. `currency` is that of the accrual per day, for so many UTC days, today the last."""
    with snapshot(engine) as connection:
        instant = now(connection)
        # Clocks of test bills may have got further.
        shown = {"since": instant.date() - timedelta(days=days - 1), "today": instant.date()}
        next_ones = _NEXT_BY_THEIR_CLOCKS if modes.is_test(engine) else _NEXT
        month = instant.date().replace(day=1)
        counted_at = connection.execute(text("SELECT followed_at FROM rollup_position")).scalar_one()
        return Overview(
            now=instant,
            counted_at=counted_at,
            accruing=_accruing(connection),
            states=_states(connection),
            closed_bills=connection.execute(_CLOSED, {"month": month}).scalar() or 0,
            closed_payables=tuple(
                (row.currency, row.payable) for row in connection.execute(_PAYABLES, {"month": month})
            ),
            accrual_currencies=tuple(connection.execute(_CURRENCIES, shown).scalars()),
            accrual={row.day: row.total for row in connection.execute(_DAYS, {**shown, "code": currency})},
            closing_soon=_bills(connection, next_ones, {"instant": instant, "limit": bills}),
        )


def standing(engine: Engine, *, patience: timedelta) -> Standing:
    """`patience` is how late a closing may be before it counts."""
    with snapshot(engine) as connection:
        instant = now(connection)
        row = connection.execute(_MACHINERY).one()
        return Standing(
            open_bills=_states(connection)[BillStatus.OPEN],
            overdue=_late(connection, _OVERDUE, instant - patience),
            closing=_late(connection, _CLOSING, instant - patience),
            counted=row.followed_at and max(instant - row.followed_at, timedelta(0)),
            beat=row.beat,
            workflows_behind=row.workflows_behind,
        )


_CLOSED = text("SELECT bills FROM closed_months WHERE month = :month")
_PAYABLES = text("SELECT currency, payable FROM closed_payables WHERE month = :month ORDER BY currency")
_CURRENCIES = text("SELECT DISTINCT currency FROM accrual_days WHERE day BETWEEN :since AND :today ORDER BY currency")
_DAYS = text("SELECT day, total FROM accrual_days WHERE currency = :code AND day BETWEEN :since AND :today")
_NEXT = text(
    "SELECT id FROM bills WHERE status = 'open' AND period_end > :instant ORDER BY period_end, id LIMIT :limit"
)
_NEXT_BY_THEIR_CLOCKS = text(
    """
    SELECT id FROM bills WHERE status = 'open' AND period_end - clock_ahead > :instant
    ORDER BY period_end - clock_ahead, id LIMIT :limit
    """
)
_OVERDUE = text(
    "SELECT id FROM bills WHERE status = 'open' AND period_end < :before ORDER BY period_end, id LIMIT :limit"
)
_CLOSING = text(
    """
    SELECT id FROM bills WHERE status = 'closing' AND close_requested_at < :before
    ORDER BY close_requested_at, id LIMIT :limit
    """
)
_MACHINERY = text(
    """
    SELECT followed_at, workflows_behind,
           (SELECT clock_timestamp() - max(beat_at) FROM worker_heartbeats) AS beat
    FROM rollup_position
    """
)


def _accruing(connection: Connection) -> tuple[Accruing, ...]:
    rows = connection.execute(text("SELECT currency, bills, subtotal, payable FROM accruing ORDER BY currency"))
    return tuple(Accruing(row.bills, _payable(row)) for row in rows)


def _payable(row: Any) -> Payable:
    rounding = money.without_trailing_zeros(money.EXACT.subtract(row.payable, row.subtotal))
    return Payable(money.currency(row.currency), row.subtotal, row.payable, rounding)


def _states(connection: Connection) -> Mapping[BillStatus, int]:
    kept = {row.status: row.bills for row in connection.execute(text("SELECT status, bills FROM bill_states"))}
    return {status: kept.get(status, 0) for status in BillStatus}


def _late(connection: Connection, query: Any, before: datetime) -> Late:
    found = connection.execute(query, {"before": before, "limit": MOST_COUNTED}).scalars().all()
    named = {bill.id: bill for bill in bills_by_id(connection, found[:BILLS_NAMED])}
    return Late(len(found), [named[bill_id] for bill_id in found[:BILLS_NAMED]])


def _bills(connection: Connection, query: Any, parameters: Mapping[str, Any]) -> Sequence[Bill]:
    """In the order of the query, which bills_by_id doesn't keep."""
    found = connection.execute(query, parameters).scalars().all()
    read = {bill.id: bill for bill in bills_by_id(connection, found)}
    return [read[bill_id] for bill_id in found]
