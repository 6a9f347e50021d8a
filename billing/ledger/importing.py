"""What becomes of an import's rows: some at a time, each with its outcome in the very transaction that decides it.

So whoever is killed has decided some rows whole or not at all, and who goes on begins behind them: no row is added
twice, with or without a key of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, exc, text, update

from billing.bill import MOST_ITEMS_IN_A_CALL, LineItemDraft
from billing.errors import BillingError, BillNotFound, FailedPrecondition, Unauthenticated, UnsupportedCurrency
from billing.identifiers import new_id
from billing.ledger import idempotency, imports, line_items, references, repeats
from billing.ledger.arrays import array
from billing.ledger.clock import keep_to_bill, now
from billing.ledger.database import transaction
from billing.ledger.line_items import Entry, Outcome
from billing.ledger.rows import Row
from billing.ledger.tables.imports import ImportRow
from billing.origin import ActorKind, Origin


class RowNotStored(FailedPrecondition):
    """The database refused what no rule refuses: a fault of ours, which keeps no other row from being added."""

    reason = "row_not_stored"
    default_message = "this row could not be stored"


@dataclass(frozen=True, slots=True)
class Step:
    """How many rows got their outcome; `is_over`: none is left, or the import was cancelled."""

    rows: int
    is_over: bool


def take_some(engine: Engine, import_id: UUID, offered: Collection[str]) -> Step:
    """Decides at most 1,000 rows of one bill, in their order. Raises Unavailable and, where somebody else keeps the
    bill locked, IdempotencyInProgress; then nothing was decided."""
    at_most = MOST_ITEMS_IN_A_CALL
    while True:
        try:
            return _take(engine, import_id, offered, at_most)
        except (exc.IntegrityError, exc.DataError):
            # One row keeps all of them from being stored: fewer at a time, until it stands alone.
            if at_most == 1:
                return _take(engine, import_id, offered, 1, refusal=RowNotStored())
            at_most = max(1, at_most // 10)


def _take(
    engine: Engine, import_id: UUID, offered: Collection[str], at_most: int, refusal: BillingError | None = None
) -> Step:
    with transaction(engine) as connection:
        # Whoever takes the next ones waits here: a worker that was given up may still be at it.
        one = imports.locked(connection, import_id)
        if one is None or one.state not in imports.UNFINISHED:
            return Step(0, is_over=True)
        rows = _next(connection, one, at_most)
        if not rows:
            imports.finish(connection, imports.origin_of(one), one, "done")
            return Step(0, is_over=True)
        origin, started_at = imports.origin_of(one), one.started_at or now(connection)
        refusal = refusal or _refused_as_a_whole(connection, one, rows[0].bill_id)
        entries = {row.number: _entry(row) for row in rows}
        if refusal is not None:
            outcomes: Mapping[int, Outcome] = dict.fromkeys(entries, _refused(refusal))
        else:
            outcomes = _decide(connection, origin, rows[0].bill_id, entries, offered)
        _store(connection, one, rows[-1], outcomes, started_at)
        return Step(len(rows), is_over=False)


def _next(connection: Connection, one: Row, at_most: int) -> Sequence[Row]:
    """Of the next bill that has any."""
    place = {"id": one.id, "bill": one.after_bill_id, "number": one.after_number, "limit": at_most}
    return connection.execute(_NEXT, place).all()


_NEXT = text(
    """
    SELECT number, bill_id, key, source, reference, description, quantity, unit_price, total, currency, fingerprint
    FROM import_rows
    WHERE import_id = :id AND fingerprint IS NOT NULL AND (bill_id, number) > (:bill, :number)
      AND bill_id = (SELECT bill_id FROM import_rows
                     WHERE import_id = :id AND fingerprint IS NOT NULL AND (bill_id, number) > (:bill, :number)
                     ORDER BY bill_id, number LIMIT 1)
    ORDER BY bill_id, number LIMIT :limit
    """
)


def _refused_as_a_whole(connection: Connection, one: Row, bill_id: UUID) -> BillingError | None:
    """An import does what its key may do, for as long as that holds."""
    if one.actor_kind == ActorKind.API_KEY and connection.execute(_REVOKED, {"id": one.actor_id}).scalar():
        return Unauthenticated()
    customer = connection.execute(_CUSTOMER, {"id": bill_id}).scalar_one_or_none()
    is_others = one.customer_ids is not None and customer not in one.customer_ids
    return BillNotFound() if customer is None or is_others else None


_REVOKED = text("SELECT revoked_at IS NOT NULL FROM api_keys WHERE id = CAST(:id AS uuid)")
_CUSTOMER = text("SELECT customer_id FROM bills WHERE id = :id")


def _entry(row: Row) -> Entry:
    draft = LineItemDraft(
        row.description, row.quantity, row.unit_price, row.total, row.currency, row.source, row.reference
    )
    return Entry(new_id(), draft, row.key, bytes(row.fingerprint))


def _decide(
    connection: Connection, origin: Origin, bill_id: UUID, entries: Mapping[int, Entry], offered: Collection[str]
) -> Mapping[int, Outcome]:
    withdrawn = _withdrawn(connection, origin, bill_id, entries.values(), offered)
    wanted = [entry for entry in entries.values() if entry.id not in withdrawn]
    firsts = repeats.first_with_each_key(wanted)
    decided: dict[UUID, Outcome] = {}
    if firsts:
        asked = list(firsts.values())
        keep_to_bill(connection, bill_id)
        accepted = line_items.accept(line_items.within(connection), origin, bill_id, asked)
        decided = dict(zip((entry.id for entry in asked), accepted.outcomes, strict=True))
    return {
        number: _refused(UnsupportedCurrency(field="currency"))
        if entry.id in withdrawn
        else repeats.outcome_of(entry, firsts, decided)
        for number, entry in entries.items()
    }


def _withdrawn(
    connection: Connection, origin: Origin, bill_id: UUID, entries: Iterable[Entry], offered: Collection[str]
) -> set[UUID]:
    """Those in currencies that are no longer offered, but for those that only repeat an earlier one."""
    others = [entry for entry in entries if entry.draft.currency not in offered]
    if not others:
        return set()
    keys = [entry.key for entry in others if entry.key is not None]
    known = connection.exec_driver_sql(idempotency.KNOWN_ADDITIONS, (bill_id, origin.account_id, keys) * 2)
    named = ([e.draft.source for e in others], [e.draft.reference for e in others], bill_id)
    taken = {tuple(row) for row in connection.exec_driver_sql(references.TAKEN, named)}
    repeated = {row.key for row in known}
    return {e.id for e in others if e.key not in repeated and e.draft.source_and_reference not in taken}


def _store(connection: Connection, one: Row, last: Row, outcomes: Mapping[int, Outcome], started_at: datetime) -> None:
    told = [_told(number, outcome) for number, outcome in outcomes.items()]
    connection.exec_driver_sql(_OUTCOMES, (*map(array, zip(*told, strict=True)), one.id))
    counted = Counter(outcome for _, outcome, *_ in told)
    connection.execute(
        update(ImportRow)
        .where(ImportRow.id == one.id)
        .values(
            state="running",
            started_at=started_at,
            after_bill_id=last.bill_id,
            after_number=last.number,
            added=one.added + counted["added"],
            replayed=one.replayed + counted["replayed"],
            rejected=one.rejected + counted["rejected"],
        )
    )


_OUTCOMES = """
    UPDATE import_rows r
    SET outcome = o.outcome, item_bill_id = o.bill_id, item_id = o.item_id,
        code = o.code, reason = o.reason, field = o.field, message = o.message
    FROM unnest(%s::int[], %s::text[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS o(number, outcome, bill_id, item_id, code, reason, field, message)
    WHERE r.import_id = %s AND r.number = o.number
"""


def _told(number: int, outcome: Outcome) -> tuple[Any, ...]:
    if outcome.item is not None:
        word = "replayed" if outcome.replayed else "added"
        return number, word, outcome.item.bill_id, outcome.item.id, None, None, None, None
    refusal = outcome.refusal
    assert refusal is not None
    return number, "rejected", None, None, refusal.code, refusal.reason, refusal.field, refusal.message


def _refused(refusal: BillingError) -> Outcome:
    return Outcome(None, replayed=False, refusal=refusal)
