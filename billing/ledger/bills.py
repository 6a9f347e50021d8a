"""The writes on a bill itself: open it, move its end, wish it closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, select, text, update

from billing.bill import Bill, BillStatus
from billing.clock import rfc3339
from billing.errors import (
    BillClosed,
    BillClosing,
    BillNotFound,
    InvalidArgument,
    LiveBill,
    PeriodEnded,
    VersionConflict,
)
from billing.identifiers import new_id
from billing.ledger import customers, events, idempotency, modes
from billing.ledger.clock import keep_to_bill, now
from billing.ledger.database import transaction
from billing.ledger.reads import read_bill
from billing.ledger.rows import Row
from billing.ledger.tables.bills import BillRow
from billing.ledger.tables.workflows import BillWorkflowRow
from billing.origin import Origin, fingerprint
from billing.period import Period

# What happens after a bill's end can be looked at, too.
FURTHEST_BEYOND_END = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Written:
    """The bill as it stands after a write; `replayed` when an earlier request with this key made the change."""

    bill: Bill
    replayed: bool = False


def open_bill(engine: Engine, origin: Origin, customer_id: str, period: Period) -> Written:
    """A new bill, its customer registered if nobody knew it. Raises InvalidArgument for a period that is over."""
    print_ = fingerprint(customer_id, rfc3339(period.start), rfc3339(period.end))
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "open_bill")
        known = idempotency.recall(connection, origin, "open_bill", print_)
        if known:
            return Written(read_bill(connection, known), replayed=True)
        customer = customers.registered(connection, origin, customer_id)
        instant = now(connection)
        period.may_begin(instant)
        bill_id = new_id()
        connection.execute(
            insert(BillRow).values(
                id=bill_id,
                customer_id=customer.id,
                period_start=period.start,
                period_end=period.end,
                created_at=instant,
                updated_at=instant,
            )
        )
        connection.execute(insert(BillWorkflowRow).values(bill_id=bill_id))
        events.append(connection, origin, "bill.created", ("bill", bill_id), 1, instant, _period_data(period))
        idempotency.remember(connection, origin, "open_bill", print_, bill_id)
        return Written(read_bill(connection, bill_id))


def change_period(
    engine: Engine,
    origin: Origin,
    bill_id: UUID,
    end: datetime,
    *,
    expected_version: int | None = None,
    expected_end: datetime | None = None,
) -> Written:
    """Moves the end of an open bill whose end has not passed.

    With `expected_end` only from there, whatever else has changed meanwhile: a bill that accrues has a new version
    every moment. Raises VersionConflict, as for `expected_version`.
    """
    print_ = fingerprint(rfc3339(end), _text(expected_version))

    def change(connection: Connection, row: Row, instant: datetime) -> tuple[dict[str, Any], str, dict[str, Any]]:
        refuse_unless_accruing(row, instant)
        refuse_other_version(row, expected_version)
        if expected_end is not None and row.period_end != expected_end:
            raise VersionConflict
        period = Period(row.period_start, end).checked().may_end(instant)
        return (
            {"period_end": end},
            "bill.period_changed",
            {**_period_data(period), "was": rfc3339(row.period_end)},
        )

    return _change(engine, origin, bill_id, "change_period", print_, change)


def request_close(engine: Engine, origin: Origin, bill_id: UUID, *, expected_version: int | None = None) -> Written:
    """Commits the wish to close: from this instant on nothing is added. A bill closing or closed stays as it is."""
    print_ = fingerprint(_text(expected_version))

    def change(
        connection: Connection, row: Row, instant: datetime
    ) -> tuple[dict[str, Any], str, dict[str, Any]] | None:
        if row.status != BillStatus.OPEN:
            return None
        refuse_other_version(row, expected_version)
        wish = {"status": BillStatus.CLOSING, "close_requested_at": instant}
        return wish, "bill.close_requested", {"cut_off": rfc3339(instant)}

    return _change(engine, origin, bill_id, "close_bill", print_, change)


def advance_clock(engine: Engine, origin: Origin, bill_id: UUID, to: datetime) -> Written:
    """From now on it is `to` for this test bill, and goes on from there.

    Raises LiveBill for any other, BillClosed and BillClosing, and InvalidArgument for an instant that isn't later, or
    lies more than FURTHEST_BEYOND_END after the period's end.
    """
    print_ = fingerprint(rfc3339(to))

    def change(connection: Connection, row: Row, instant: datetime) -> tuple[dict[str, Any], str, dict[str, Any]]:
        if not modes.is_test(connection):
            raise LiveBill
        if row.status != BillStatus.OPEN:
            raise BillClosed if row.status == BillStatus.CLOSED else BillClosing
        if to <= instant:
            raise InvalidArgument("now must be later than the bill's clock, which only goes forward", field="now")
        if to > row.period_end + FURTHEST_BEYOND_END:
            raise InvalidArgument("now cannot be more than a day after period_end", field="now")
        ahead = row.clock_ahead + (to - instant)
        connection.execute(_ADVANCE, {"ahead": ahead, "id": bill_id})
        return {}, "bill.clock_advanced", {"now": rfc3339(to), "was": rfc3339(instant)}

    return _change(engine, origin, bill_id, "advance_clock", print_, change)


_ADVANCE = text("UPDATE bills SET clock_ahead = :ahead WHERE id = :id")

Change = Callable[[Connection, Row, datetime], "tuple[dict[str, Any], str, dict[str, Any]] | None"]


def _change(engine: Engine, origin: Origin, bill_id: UUID, operation: str, print_: bytes, change: Change) -> Written:
    """Lock, key, clock, rules, change, event: the order in which nothing can slip in between."""
    with transaction(engine) as connection:
        row = locked(connection, bill_id)
        if idempotency.recall(connection, origin, operation, print_, scope_id=bill_id):
            return Written(read_bill(connection, bill_id), replayed=True)
        keep_to_bill(connection, bill_id)
        instant = now(connection)
        changed = change(connection, row, instant)
        if changed is not None:
            values, event, data = changed
            connection.execute(
                update(BillRow)
                .where(BillRow.id == bill_id)
                .values(version=row.version + 1, updated_at=instant, **values)
            )
            events.append(connection, origin, event, ("bill", bill_id), row.version + 1, instant, data)
        idempotency.remember(connection, origin, operation, print_, bill_id, scope_id=bill_id)
        return Written(read_bill(connection, bill_id))


def locked(connection: Connection, bill_id: UUID) -> Row:
    """The bill's row, locked until the transaction ends. Raises BillNotFound."""
    row = connection.execute(
        select(*modes.bill_columns(test=modes.is_test(connection)))
        .where(BillRow.id == bill_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise BillNotFound
    return row


def refuse_unless_accruing(row: Row, instant: datetime) -> None:
    if row.status == BillStatus.CLOSED:
        raise BillClosed
    if row.status == BillStatus.CLOSING:
        raise BillClosing
    if instant >= row.period_end:
        raise PeriodEnded


def refuse_other_version(row: Row, expected_version: int | None) -> None:
    if expected_version is not None and row.version != expected_version:
        raise VersionConflict


def _period_data(period: Period) -> dict[str, Any]:
    return {"period_start": rfc3339(period.start), "period_end": rfc3339(period.end)}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
