"""Closing bills: one way to do it, for one bill or for hundreds, by hand or by the period's end.

Whoever comes first closes, once: bills are locked in the order of their ids, payable and rounding are
computed by the same function that every page uses, the rates of the cut-off are frozen, and the bill
number is taken last, so that numbers have no gaps and are held for the shortest time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing import money
from billing.bill import Bill
from billing.errors import BillNotFound, IdempotencyInProgress
from billing.ledger import modes
from billing.ledger.clock import keep_to_bill, now
from billing.ledger.database import snapshot, transaction
from billing.ledger.reads import read_bill
from billing.ledger.rows import Row
from billing.origin import Origin


@dataclass(frozen=True, slots=True)
class NotYet:
    """The bill is open and its end lies ahead; ask again after `wait`."""

    wait: timedelta


def close_bill(engine: Engine, origin: Origin, bill_id: UUID, *, samples: bool) -> Bill | NotYet:
    """Closes the bill if its end has passed or its closing was wished; says so again when repeated.

    `samples`: sample rates count, because no provider is configured. Raises BillNotFound.
    """
    with transaction(engine) as connection:
        keep_to_bill(connection, bill_id)
        row = connection.execute(_LOCK_ONE, {"bill_id": bill_id, "samples": samples}).one_or_none()
        if row is None:
            raise BillNotFound
        if row.status != "closed":
            instant = now(connection)
            if row.status == "open" and instant < row.period_end:
                return NotYet(row.period_end - instant)
            _close(connection, origin, [row], instant)
        return read_bill(connection, bill_id)


def close_due(
    engine: Engine, origin: Origin, *, limit: int, samples: bool, patience: timedelta = timedelta(0)
) -> list[UUID]:
    """Closes bills whose end has passed, at most `limit`, passing over locked ones.

    Those whose closing was wished more than `patience` ago too: until then their workflow is at it.
    """
    if modes.is_test(engine):
        return _close_due_by_their_clocks(engine, origin, limit=limit, samples=samples, patience=patience)
    with transaction(engine) as connection:
        wanted = {"limit": limit, "samples": samples, "patience": patience}
        rows = connection.execute(_LOCK_DUE, wanted).all()
        if rows:
            _close(connection, origin, rows, now(connection))
        return [row.id for row in rows]


def _close_due_by_their_clocks(
    engine: Engine, origin: Origin, *, limit: int, samples: bool, patience: timedelta
) -> list[UUID]:
    """One after the other, since no two need have the same time. One that is locked keeps none of the others waiting
    for longer than that."""
    with snapshot(engine) as connection:
        wanted = {"limit": limit, "patience": patience}
        due = connection.execute(_DUE_BY_THEIR_CLOCKS, wanted).scalars().all()
    closed = []
    for bill_id in due:
        with suppress(IdempotencyInProgress):
            if isinstance(close_bill(engine, origin, bill_id, samples=samples), Bill):
                closed.append(bill_id)
    return closed


def next_due(engine: Engine) -> timedelta | None:
    """How long until the next open bill's end by the database's clock; None when no bill is open."""
    with transaction(engine) as connection:
        query = _NEXT_DUE_BY_THEIR_CLOCKS if modes.is_test(engine) else _NEXT_DUE
        wait: timedelta | None = connection.execute(query).scalar_one()
        return wait


_NEXT_DUE = text("SELECT min(period_end) - billing_now() FROM bills WHERE status = 'open'")
# Few bills have a clock of their own that is ahead: they are looked at one by one, the others by their ends.
_NEXT_DUE_BY_THEIR_CLOCKS = text(
    """
    SELECT least((SELECT min(period_end) FROM bills WHERE status = 'open'),
                 (SELECT min(period_end - clock_ahead) FROM bills WHERE status = 'open' AND clock_ahead > '0'))
           - billing_now()
    """
)
_DUE_BY_THEIR_CLOCKS = text(
    """
    (SELECT id FROM bills
     WHERE status = 'closing' AND close_requested_at - clock_ahead <= (SELECT billing_now()) - :patience LIMIT :limit)
    UNION
    (SELECT id FROM bills WHERE status = 'open' AND period_end <= (SELECT billing_now())
     ORDER BY period_end, id LIMIT :limit)
    UNION
    (SELECT id FROM bills
     WHERE status = 'open' AND clock_ahead > '0' AND period_end - clock_ahead <= (SELECT billing_now()) LIMIT :limit)
    LIMIT :limit
    """
)


# The cut-off is the moment of the wish or the period's end, whichever came first; the rates are the newest that
# had been accepted by then.
_LOCK = """
    SELECT b.id, b.status, b.version, b.period_end, b.customer_id,
           least(b.close_requested_at, b.period_end) AS cut_off,
           CASE WHEN b.close_requested_at < b.period_end THEN 'manual' ELSE 'period_end' END AS close_reason,
           (SELECT s.id FROM rate_snapshots s
            WHERE s.state = 'accepted' AND s.sample = :samples
              AND s.accepted_at <= least(b.close_requested_at, b.period_end)
            ORDER BY s.accepted_at DESC, s.id DESC LIMIT 1) AS rate_snapshot_id
    FROM bills b
"""
_LOCK_ONE = text(_LOCK + "WHERE b.id = :bill_id FOR NO KEY UPDATE OF b")
# The clock is a volatile function, which no index can be searched by: as a query of its own it is read once, first.
_LOCK_DUE = text(
    _LOCK  # noqa: S608  a constant
    + """
    WHERE b.id IN (
        (SELECT id FROM bills WHERE status = 'closing' AND close_requested_at <= (SELECT billing_now()) - :patience
         ORDER BY id LIMIT :limit)
        UNION ALL
        (SELECT id FROM bills WHERE status = 'open' AND period_end <= (SELECT billing_now())
         ORDER BY period_end, id LIMIT :limit)
        LIMIT :limit)
      AND (b.status = 'closing' OR (b.status = 'open' AND b.period_end <= billing_now()))
    ORDER BY b.id FOR NO KEY UPDATE OF b SKIP LOCKED
    """
)


def _close(connection: Connection, origin: Origin, rows: Sequence[Row], instant: datetime) -> None:
    _store_payables(connection, [row.id for row in rows])
    last_number = connection.execute(_TAKE_NUMBERS, {"count": len(rows)}).scalar_one()
    numbers = range(last_number - len(rows) + 1, last_number + 1)
    connection.execute(
        _CLOSE,
        {
            "ids": [row.id for row in rows],
            "numbers": list(numbers),
            "cut_offs": [row.cut_off for row in rows],
            "reasons": [row.close_reason for row in rows],
            "snapshots": [row.rate_snapshot_id for row in rows],
            "closed_at": instant,
            "actor_kind": origin.actor.kind,
            "actor_id": origin.actor.id,
            "actor_name": origin.actor.name,
            "request_id": origin.request_id,
        },
    )


def _store_payables(connection: Connection, ids: list[UUID]) -> None:
    subtotals = connection.execute(
        text("SELECT bill_id, currency, subtotal FROM bill_subtotals WHERE bill_id = ANY(:ids)"), {"ids": ids}
    ).all()
    payables = [money.payable(subtotal, money.currency(code)) for _, code, subtotal in subtotals]
    columns: dict[str, list[Any]] = {
        "ids": [row.bill_id for row in subtotals],
        "currencies": [row.currency for row in subtotals],
        "payables": [payable.amount for payable in payables],
        "roundings": [payable.rounding for payable in payables],
        "minor_units": [payable.currency.minor_units for payable in payables],
    }
    connection.execute(_STORE_PAYABLES, columns)


_STORE_PAYABLES = text(
    """
    UPDATE bill_subtotals s SET payable = p.payable, rounding = p.rounding, minor_units = p.minor_units
    FROM unnest(CAST(:ids AS uuid[]), CAST(:currencies AS text[]), CAST(:payables AS numeric[]),
                CAST(:roundings AS numeric[]), CAST(:minor_units AS smallint[]))
        AS p(bill_id, currency, payable, rounding, minor_units)
    WHERE s.bill_id = p.bill_id AND s.currency = p.currency
    """
)
_TAKE_NUMBERS = text(
    "UPDATE counters SET last_value = last_value + :count WHERE name = 'bill_number' RETURNING last_value"
)
_CLOSE = text(
    """
    WITH closed AS (
        UPDATE bills b
        SET status = 'closed', version = b.version + 1, updated_at = :closed_at, closed_at = :closed_at,
            effective_at = c.cut_off, close_reason = c.reason, number = c.number, rate_snapshot_id = c.snapshot_id,
            billed_customer = jsonb_build_object('external_id', cu.external_id, 'name', cu.name,
                                                 'billing_address', cu.billing_address),
            seller = (SELECT jsonb_build_object('name', name, 'address', address, 'tax_id', tax_id,
                                                'logo', logo) FROM seller)
        FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS bigint[]), CAST(:cut_offs AS timestamptz[]),
                    CAST(:reasons AS text[]), CAST(:snapshots AS uuid[]))
            AS c(id, number, cut_off, reason, snapshot_id), customers cu
        WHERE b.id = c.id AND cu.id = b.customer_id
        RETURNING b.*)
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                        occurred_at, data)
    SELECT 'bill', id, version, 'bill.closed', :actor_kind, :actor_id, :actor_name, :request_id, closed_at,
           jsonb_build_object('number', number, 'close_reason', close_reason, 'rate_snapshot_id', rate_snapshot_id)
    FROM closed ORDER BY id
    """
)
