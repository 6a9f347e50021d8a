"""Epochs of the ledger: a restored one outranks what workflows heard of the one before.

After a restore the same versions come again with other contents, so versions alone say nothing across it. Beginning an
epoch keeps what workflows knew beyond what is stored, sets aside the bill numbers that may have been given, and lets
the sweep tell those workflows anew. Nothing that is stored about a bill is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Engine, text

from billing.ledger import sealing
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.events import COPIED

NUMBERS = "bill_number"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a workflow had heard of a bill. Totals are exact decimals in plain text, by currency."""

    bill_id: UUID
    status: str
    version: int
    item_count: int
    totals: Mapping[str, str]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """What was acknowledged of a bill, and what was stored of it; `stored_version` is None when nothing was."""

    acknowledged: Acknowledged
    stored_version: int | None
    stored_item_count: int
    stored_totals: Mapping[str, str]

    @property
    def sentence(self) -> str:
        known = self.acknowledged
        closed = f", closed as No. {known.number}" if known.number else ""
        here = f"acknowledged: {_standing(known.version, known.item_count, known.totals)}{closed}"
        if self.stored_version is None:
            return f"{here}; stored: nothing"
        return f"{here}; stored: {_standing(self.stored_version, self.stored_item_count, self.stored_totals)}"


def _standing(version: int, item_count: int, totals: Mapping[str, str]) -> str:
    amounts = "".join(f", {code} {amount}" for code, amount in sorted(totals.items()))
    return f"version {version}, {item_count} {'item' if item_count == 1 else 'items'}{amounts}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """`numbers` are the first and the last bill number that were set aside, if any were."""

    epoch: int
    losses: Sequence[Loss]
    numbers: tuple[int, int] | None


def current(engine: Engine) -> int:
    """0 until the ledger was restored for the first time."""
    with snapshot(engine) as connection:
        return current_of(connection)


def current_of(connection: Connection) -> int:
    epoch: int = connection.execute(text("SELECT coalesce(max(epoch), 0) FROM ledger_epochs")).scalar_one()
    return epoch


# The epoch that an event (`e`) was written in, as `written_in` has it.
OF_EVENT = "coalesce((SELECT max(p.epoch) FROM ledger_epochs p WHERE p.after_seq < e.seq), 0)"


def known(connection: Connection) -> Sequence[tuple[int, int]]:
    """Each epoch with the last sequence number of the log before it; but for those that began before this was noted."""
    rows = connection.execute(text("SELECT epoch, after_seq FROM ledger_epochs WHERE after_seq IS NOT NULL"))
    return [(row.epoch, row.after_seq) for row in rows]


def written_in(known_epochs: Sequence[tuple[int, int]], seq: int) -> int:
    """The epoch in which the event with this sequence number was written."""
    return max((epoch for epoch, after_seq in known_epochs if after_seq < seq), default=0)


def begin(
    engine: Engine, begun_by: str, known: Sequence[Acknowledged], *, heard_epoch: int = 0, last_number: int = 0
) -> Epoch:
    """A new epoch, higher than any that is stored or that a workflow has heard of (`heard_epoch`).

    `known` are the bills whose workflows know something else than is stored; they are told anew. Bill numbers up to
    `last_number` may have been given: the series goes on after it, and is never set back.
    """
    with transaction(engine) as connection:
        connection.execute(text("LOCK TABLE ledger_epochs IN SHARE ROW EXCLUSIVE MODE"))
        epoch = max(current_of(connection), heard_epoch) + 1
        numbers = _set_aside(connection, last_number)
        connection.execute(_BEGIN, {"epoch": epoch, "began_at": now(connection), "by": begun_by, **_ends(numbers)})
        connection.execute(_LOSE, {"epoch": epoch, **_columns(known)})
        connection.execute(_TELL_ANEW, {"ids": [bill.bill_id for bill in known]})
        return Epoch(epoch, _losses(connection, epoch), numbers)


def losses(engine: Engine, epoch: int | None = None) -> Sequence[Loss]:
    """Of one epoch, or of all."""
    with snapshot(engine) as connection:
        return _losses(connection, epoch)


def adopt_log(engine: Engine) -> None:
    """Makes the log of another server, which a dump brought along, one that this server's readers can follow.

    They go by transaction ids, and those of a dump may lie ahead of this server's, or among them. What is stored has
    all happened, in the order of its sequence. The sums that follow the log are to be counted anew afterwards; seals
    begin a new series by themselves.
    """
    with transaction(engine) as connection:
        is_copied = {"is_copied": sealing.is_copied(connection)}
        sealing.begin_anew(connection)
        connection.execute(text("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(_SET_BACK_WEBHOOKS, is_copied)
        connection.execute(_ADOPT, is_copied)


def missing(engine: Engine, known: Sequence[Acknowledged]) -> Sequence[Loss]:
    """What of this isn't stored, as beginning an epoch would note it."""
    with snapshot(engine) as connection:
        return [_loss_of(row) for row in connection.execute(_COMPARE, _columns(known))]


def last_number(engine: Engine) -> int:
    """The last bill number that was given."""
    with snapshot(engine) as connection:
        return _last_number(connection)


def _last_number(connection: Connection, lock: str = "") -> int:
    statement = f"SELECT last_value FROM counters WHERE name = :name {lock}"  # noqa: S608  constants
    number: int = connection.execute(text(statement), {"name": NUMBERS}).scalar_one()
    return number


def _set_aside(connection: Connection, last_number: int) -> tuple[int, int] | None:
    given = _last_number(connection, "FOR UPDATE")
    if last_number <= given:
        return None
    raised = {"name": NUMBERS, "number": last_number}
    connection.execute(text("UPDATE counters SET last_value = :number WHERE name = :name"), raised)
    return given + 1, last_number


def _ends(numbers: tuple[int, int] | None) -> dict[str, int | None]:
    first, last = numbers or (None, None)
    return {"numbers_from": first, "numbers_to": last}


def _columns(known: Sequence[Acknowledged]) -> dict[str, list[Any]]:
    return {
        "ids": [bill.bill_id for bill in known],
        "statuses": [bill.status for bill in known],
        "versions": [bill.version for bill in known],
        "item_counts": [bill.item_count for bill in known],
        "totals": [Jsonb(dict(bill.totals)) for bill in known],
        "numbers": [bill.number for bill in known],
    }


# Where webhooks follow the log all of it gets one order: none of what they have passed comes again. What came in a dump
# stands before what was written here.
_ADOPT = text(
    f"""
    UPDATE events SET xid = '3'
    WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
       OR (xid > '3' AND EXISTS (SELECT FROM webhook_endpoints w WHERE w.xid = '3'))
       OR (:is_copied AND xid > '3' AND seq <= (SELECT max(seq) FROM events WHERE {COPIED}))
    """  # noqa: S608  constants
)
# To before what comes next for them: of what lies behind that, what was queued already isn't queued twice.
_SET_BACK_WEBHOOKS = text(
    f"""
    UPDATE webhook_endpoints w
    SET xid = '3',
        seq = coalesce((SELECT min(e.seq) - 1 FROM events e
                        WHERE (e.xid, e.seq) > (w.xid, w.seq) OR (:is_copied AND NOT {COPIED})),
                       (SELECT max(e.seq) FROM events e), 0)
    WHERE :is_copied OR w.xid >= pg_snapshot_xmax(pg_current_snapshot())
       OR EXISTS (SELECT FROM events e
                  WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AND (e.xid, e.seq) > (w.xid, w.seq))
    """  # noqa: S608  constants
)
_BEGIN = text(
    """
    INSERT INTO ledger_epochs (epoch, began_at, begun_by, after_seq, numbers_from, numbers_to)
    VALUES (:epoch, :began_at, :by, nextval(pg_get_serial_sequence('events', 'seq')), :numbers_from, :numbers_to)
    """
)
_COMPARED = """
    SELECT k.bill_id, k.status, k.version, k.item_count, k.totals, k.number, b.version AS stored_version,
           coalesce(b.item_count, 0) AS stored_item_count,
           coalesce((SELECT jsonb_object_agg(s.currency, trim_scale(s.subtotal)::text)
                     FROM bill_subtotals s WHERE s.bill_id = k.bill_id), '{}') AS stored_totals
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:versions AS bigint[]),
                CAST(:item_counts AS bigint[]), CAST(:totals AS jsonb[]), CAST(:numbers AS bigint[]))
        AS k(bill_id, status, version, item_count, totals, number)
    LEFT JOIN bills b ON b.id = k.bill_id
"""
_COMPARE = text(f"{_COMPARED} ORDER BY bill_id")
_LOSE = text(
    f"""
    INSERT INTO ledger_losses (epoch, bill_id, status, version, item_count, totals, number, stored_version,
                               stored_item_count, stored_totals)
    SELECT :epoch, compared.* FROM ({_COMPARED}) AS compared
    """  # noqa: S608  constants
)
# As if their workflows had heard nothing: the sweep tells them, and starts those that have ended.
_TELL_ANEW = text("UPDATE bill_workflows SET heard_version = 0, finished_at = NULL WHERE bill_id = ANY(:ids)")


def _losses(connection: Connection, epoch: int | None) -> Sequence[Loss]:
    wanted = "WHERE epoch = :epoch" if epoch is not None else ""
    statement = f"SELECT * FROM ledger_losses {wanted} ORDER BY epoch, bill_id"  # noqa: S608  constants
    return [_loss_of(row) for row in connection.execute(text(statement), {"epoch": epoch} if wanted else {})]


def _loss_of(row: Any) -> Loss:
    known = Acknowledged(row.bill_id, row.status, row.version, row.item_count, row.totals, row.number)
    return Loss(known, row.stored_version, row.stored_item_count, row.stored_totals)
