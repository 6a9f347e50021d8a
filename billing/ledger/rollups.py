"""Sums for the overview: they follow the event log seconds behind it, so that no change waits for them.

Each batch of events is counted in the transaction that moves the position on: exactly once, whoever dies. Sums of
days, states and closings come from the events alone, so the order in which they appear makes no difference. What
open bills add is read from the bills themselves: it may be younger than the position, and is then read again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from billing import money
from billing.bill import BillStatus
from billing.ledger import accruing, events
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.events import Event, LogPosition

BATCH = 2_000


def follow(engine: Engine, *, limit: int = BATCH) -> int:
    """Counts the next events; how many they were. 0 also while another process is at it."""
    return _follow(engine, _LOCK_IF_FREE, limit)


def rebuild(engine: Engine, *, limit: int = BATCH) -> int:
    """Forgets all sums and counts the whole log anew, in batches; until it is done, the sums have no age.

    How many events this process counted: one that follows meanwhile counts some too, and all if this one dies.
    """
    with transaction(engine) as connection:
        connection.execute(_LOCK)
        for table in _TABLES:
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608  constants
        connection.execute(_BEGIN_ANEW)
    counted = batch = _follow(engine, _LOCK, limit)
    while batch == limit:
        batch = _follow(engine, _LOCK, limit)
        counted += batch
    return counted


def _follow(engine: Engine, lock: TextClause, limit: int) -> int:
    with transaction(engine) as connection:
        row = connection.execute(lock).one_or_none()
        return _count_on(connection, LogPosition(row.xid, row.seq), limit) if row else 0


def look_behind(engine: Engine, *, patience: timedelta) -> int:
    """Counts the workflows that have not heard of their bill's last change for so long, and keeps the count.

    It asks about every bill that isn't done, which is too much for a page.
    """
    with transaction(engine) as connection:
        instant = now(connection)
        behind: int = connection.execute(_BEHIND, {"changed_before": instant - patience}).scalar_one()
        connection.execute(_KEEP_BEHIND, {"behind": behind, "instant": instant})
        return behind


_TABLES = ("accrual_days", "open_subtotals", "accruing", "bill_states", "closed_months", "closed_payables")
_POSITION = "SELECT xid::text::bigint AS xid, seq FROM rollup_position "
_LOCK = text(_POSITION + "FOR UPDATE")
_LOCK_IF_FREE = text(_POSITION + "FOR UPDATE SKIP LOCKED")
_BEGIN_ANEW = text("UPDATE rollup_position SET xid = '0', seq = 0, followed_at = NULL")
_MOVE = text(
    """
    UPDATE rollup_position SET xid = CAST(CAST(:xid AS text) AS xid8), seq = :seq,
        followed_at = greatest(followed_at, CAST(:as_of AS timestamptz))
    """
)
_OLDEST_PENDING = text(
    """
    SELECT min(occurred_at) FROM (
        SELECT occurred_at FROM events WHERE (xid, seq) > (CAST(CAST(:xid AS text) AS xid8), :seq)
        ORDER BY xid, seq LIMIT :pending
    ) AS pending
    """
)
# From each workflow to its bill, as `progress.claim_behind`: bills that are done cost nothing.
_BEHIND = text(
    """
    SELECT count(*) FROM bill_workflows w
    CROSS JOIN LATERAL (
        SELECT FROM bills b
        WHERE b.id = w.bill_id AND (w.heard_version < b.version OR b.status = 'closed')
          AND b.updated_at < :changed_before
        LIMIT 1
    ) b
    WHERE w.finished_at IS NULL
    """
)
_KEEP_BEHIND = text("UPDATE rollup_position SET workflows_behind = :behind, looked_at = :instant")


@dataclass(slots=True)
class _Changes:
    """What a batch of events comes to."""

    days: dict[tuple[str, date], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    states: Counter[str] = field(default_factory=Counter)
    bills: set[UUID] = field(default_factory=set)
    closed: dict[UUID, date] = field(default_factory=dict)


def _count_on(connection: Connection, after: LogPosition, limit: int) -> int:
    instant = now(connection)
    found = events.read_on(connection, after, limit=limit)
    if found:
        _count(connection, _changes_of(found))
    reached = found[-1].position if found else after
    as_of = _as_of(connection, reached, instant) if len(found) < limit else None
    connection.execute(_MOVE, {**_place(reached), "as_of": as_of})
    return len(found)


def _as_of(connection: Connection, reached: LogPosition, instant: datetime) -> datetime:
    """Events that are stored but not read yet wait for a transaction older than theirs, which may run for hours: then
    the sums are as of when the first of them occurred. A batch of them is enough to look at: the log is nearly in that
    order.

    A question of its own: where events are distributed and the position isn't, an update that asks it may change
    nothing and say nothing (decision 0022).
    """
    oldest: datetime | None = connection.execute(_OLDEST_PENDING, {**_place(reached), "pending": BATCH}).scalar_one()
    return instant if oldest is None else min(instant, oldest)


def _place(position: LogPosition) -> dict[str, str | int]:
    return {"xid": str(position.xid), "seq": position.seq}


def _changes_of(found: Sequence[Event]) -> _Changes:
    changes = _Changes()
    for event in found:
        if event.subject_type == "bill":
            _note(changes, event)
    return changes


def _note(changes: _Changes, event: Event) -> None:
    day = event.occurred_at.astimezone(UTC).date()
    changes.bills.add(event.subject_id)
    for code, total in event.data.get("totals", {}).items():
        changes.days[code, day] = money.EXACT.add(changes.days[code, day], Decimal(total))
    match event.type:
        case "bill.created":
            changes.states[BillStatus.OPEN] += 1
        case "bill.close_requested":
            changes.states[BillStatus.OPEN] -= 1
            changes.states[BillStatus.CLOSING] += 1
        case "bill.closed":
            changes.states[BillStatus.CLOSED] += 1
            changes.closed[event.subject_id] = day.replace(day=1)


def _count(connection: Connection, changes: _Changes) -> None:
    _count_closed(connection, changes)
    accruing.bring_up_to_date(connection, list(changes.bills))
    days = changes.days
    connection.execute(
        _ADD_DAYS,
        {"codes": [code for code, _ in days], "days": [day for _, day in days], "totals": list(days.values())},
    )
    states = changes.states
    connection.execute(_ADD_STATES, {"states": list(states), "counts": list(states.values())})


_ADD_DAYS = text(
    """
    INSERT INTO accrual_days AS kept (currency, day, total)
    SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:days AS date[]), CAST(:totals AS numeric[]))
    ON CONFLICT (currency, day) DO UPDATE SET total = kept.total + excluded.total
    """
)
_ADD_STATES = text(
    """
    INSERT INTO bill_states AS kept (status, bills)
    SELECT * FROM unnest(CAST(:states AS text[]), CAST(:counts AS bigint[]))
    ON CONFLICT (status) DO UPDATE SET bills = kept.bills + excluded.bills
    """
)


def _count_closed(connection: Connection, changes: _Changes) -> None:
    """Closed bills don't change any more, so they can be read whenever their event appears."""
    if not changes.closed:
        return
    months = Counter(changes.closed.values())
    connection.execute(_ADD_MONTHS, {"months": list(months), "counts": list(months.values())})
    payables: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    ids = {"ids": list(changes.closed)}
    for bill_id, code, payable in connection.execute(_CLOSED_PAYABLES, ids):
        place = changes.closed[bill_id], code
        payables[place] = money.EXACT.add(payables[place], payable)
    connection.execute(
        _ADD_PAYABLES,
        {
            "months": [month for month, _ in payables],
            "codes": [code for _, code in payables],
            "payables": list(payables.values()),
        },
    )
    wished = connection.execute(_COUNT_WISHED, ids).scalar_one()
    changes.states[BillStatus.CLOSING] -= wished
    changes.states[BillStatus.OPEN] -= len(changes.closed) - wished


_ADD_MONTHS = text(
    """
    INSERT INTO closed_months AS kept (month, bills)
    SELECT * FROM unnest(CAST(:months AS date[]), CAST(:counts AS bigint[]))
    ON CONFLICT (month) DO UPDATE SET bills = kept.bills + excluded.bills
    """
)
_CLOSED_PAYABLES = text("SELECT bill_id, currency, payable FROM bill_subtotals WHERE bill_id = ANY(:ids)")
_ADD_PAYABLES = text(
    """
    INSERT INTO closed_payables AS kept (month, currency, payable)
    SELECT * FROM unnest(CAST(:months AS date[]), CAST(:codes AS text[]), CAST(:payables AS numeric[]))
    ON CONFLICT (month, currency) DO UPDATE SET payable = kept.payable + excluded.payable
    """
)
# Those were closing before; the others went from open to closed at their end.
_COUNT_WISHED = text("SELECT count(close_requested_at) FROM bills WHERE id = ANY(:ids)")
