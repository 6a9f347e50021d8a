"""Adding line items and taking them back: one call of one PostgreSQL function, one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Engine

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import AlreadyReversed, BillingError, BillNotFound, IdempotencyKeyReused, NotReversible
from billing.identifiers import new_id
from billing.ledger import adding, reads
from billing.ledger.adding import REFUSALS
from billing.ledger.arrays import array
from billing.ledger.clock import keep_to_bill, one_row_of_bill
from billing.ledger.database import one_row, transaction
from billing.ledger.rows import bill_of
from billing.money import EXACT
from billing.origin import Origin, fingerprint

ADD = "add_line_item"
REVERSE = "reverse_line_item"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row for the function: a draft under the id and the idempotency key it is to have."""

    id: UUID
    draft: LineItemDraft
    key: str | None
    fingerprint: bytes
    reverses: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry: the item, now added or added before, or the refusal."""

    item: LineItem | None
    replayed: bool
    refusal: BillingError | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bill after a call, and an outcome per entry. `replayed` when the whole call was a repeat."""

    bill: Bill
    outcomes: tuple[Outcome, ...]
    replayed: bool


# Whether what came of a call is to be stored.
Keeps = Callable[[Accepted], bool]


def entry(draft: LineItemDraft, key: str | None) -> Entry:
    return Entry(new_id(), draft, key, draft.fingerprint())


def add(engine: Engine, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> tuple[Bill, LineItem, bool]:
    """One item: the bill with its new totals, the item, and whether it is a replay. Raises what refused it."""
    added = adding.alone(engine, adding.asked(origin, bill_id, draft))
    return added.bill, added.item, added.replayed


def add_all(
    engine: Engine,
    origin: Origin,
    bill_id: UUID,
    entries: Sequence[Entry],
    *,
    call: tuple[str, bytes] | None = None,
    keeps: Keeps | None = None,
) -> Accepted:
    """Up to 1,000 items with an outcome each; good ones count whatever the others are.

    `call` is the idempotency key and fingerprint of the call as a whole. Keys within `entries` are distinct. Unless it
    `keeps` what came of it, all of it is taken back: then this says what would have come of it.
    """
    if keeps is None:
        accepted = accept(partial(one_row_of_bill, engine, bill_id), origin, bill_id, entries, call=call)
    else:
        accepted = _accept_if(engine, origin, bill_id, entries, call, keeps)
    return _with_what_closing_stored(engine, accepted)


def _accept_if(
    engine: Engine,
    origin: Origin,
    bill_id: UUID,
    entries: Sequence[Entry],
    call: tuple[str, bytes] | None,
    keeps: Keeps,
) -> Accepted:
    with transaction(engine) as connection:
        keep_to_bill(connection, bill_id)
        accepted = accept(within(connection), origin, bill_id, entries, call=call)
        if not keeps(accepted):
            connection.rollback()
    return accepted


def reverse(engine: Engine, origin: Origin, bill_id: UUID, item_id: UUID, reason: str) -> tuple[Bill, LineItem, bool]:
    """Takes an item back by a reversing one: same currency and price, quantity and total negated."""
    reads.bill(engine, bill_id)
    first = reads.line_item(engine, bill_id, item_id)
    if first.reverses is not None:
        raise NotReversible
    negated = LineItemDraft(
        first.description,
        EXACT.minus(first.quantity),
        first.unit_price,
        EXACT.minus(first.total),
        first.currency,
    )
    print_ = fingerprint(str(item_id), reason)
    reversing = Entry(new_id(), negated, origin.idempotency_key, print_, reverses=item_id, reason=reason)
    run = partial(one_row_of_bill, engine, bill_id)
    try:
        accepted = accept(run, origin, bill_id, [reversing], operation=REVERSE, event="line_item.reversed")
        return _only(_with_what_closing_stored(engine, accepted))
    except UniqueViolation as error:
        # Asked of the rows: where the table is split by bill, the constraint has another name in each part.
        if one_row(engine, _REVERSAL, (bill_id, item_id)):
            raise AlreadyReversed from error
        raise


_REVERSAL = "SELECT id FROM line_items WHERE bill_id = %s AND reverses = %s"


def _with_what_closing_stored(engine: Engine, accepted: Accepted) -> Accepted:
    """A replay on a closed bill answers with the bill as a reader sees it; the function knows only its subtotals."""
    return replace(accepted, bill=reads.bill(engine, accepted.bill.id)) if accepted.bill.is_closed else accepted


def _only(accepted: Accepted) -> tuple[Bill, LineItem, bool]:
    (outcome,) = accepted.outcomes
    if outcome.refusal is not None:
        raise outcome.refusal
    assert outcome.item is not None
    return accepted.bill, outcome.item, outcome.replayed


# Runs one statement and answers its one row, or None.
Run = Callable[[LiteralString, Sequence[Any]], Any]


def within(connection: Connection) -> Run:
    """In the connection's transaction, whatever else is in it."""

    def run(statement: LiteralString, parameters: Sequence[Any]) -> Any:
        return connection.exec_driver_sql(statement, tuple(parameters)).one_or_none()

    return run


_CALL: LiteralString = """
    SELECT call_outcome, outcomes, item_ids, positions, created_ats, versions, (bill).*, currencies, subtotals,
           (customer).external_id, (customer).name, (customer).billing_address, homes
    FROM add_line_items(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
"""
_MANY_BEGINS: LiteralString = (
    _CALL
    + """
        %s::uuid[], %s::text[], %s::bytea[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[],
        %s::uuid[], %s::text[]
"""
)
# For one entry PostgreSQL makes the arrays: it takes psycopg a tenth of a millisecond to write ten lists.
_ONE_BEGINS: LiteralString = (
    _CALL
    + """
        ARRAY[%s::uuid], ARRAY[%s::text], ARRAY[%s::bytea], ARRAY[%s::text], ARRAY[%s::numeric], ARRAY[%s::numeric],
        ARRAY[%s::numeric], ARRAY[%s::text], ARRAY[%s::uuid], ARRAY[%s::text]
"""
)
_MANY: LiteralString = _MANY_BEGINS + ")"
_ONE: LiteralString = _ONE_BEGINS + ")"
# Where any has one: most don't, and pay nothing for it.
_MANY_REFERENCED: LiteralString = _MANY_BEGINS + ", %s::text[], %s::text[])"
_ONE_REFERENCED: LiteralString = _ONE_BEGINS + ", ARRAY[%s::text], ARRAY[%s::text])"


def accept(
    run: Run,
    origin: Origin,
    bill_id: UUID,
    entries: Sequence[Entry],
    *,
    call: tuple[str, bytes] | None = None,
    operation: str = ADD,
    event: str = "line_items.added",
) -> Accepted:
    """Calls the function that decides, through `run`: alone, or within a transaction.

    Raises BillNotFound, and IdempotencyKeyReused for the call's own key; refusals of entries are in their outcomes.
    """
    call_key, call_fingerprint = call or (None, None)
    actor = origin.actor
    of_the_call = (
        bill_id, operation, event, origin.account_id, actor.kind, actor.id, actor.name, origin.request_id,
        call_key, call_fingerprint,
    )  # fmt: skip
    row = run(*_statement(of_the_call, entries))
    if row is None:
        raise BillNotFound
    if row.call_outcome == "idempotency_key_reused":
        raise IdempotencyKeyReused
    bill = bill_of(row, row, zip(row.currencies or (), row.subtotals or (), strict=True))
    homes = row.homes or [bill.id] * len(entries)
    decided = zip(entries, row.outcomes, homes, row.item_ids, row.positions, row.created_ats, row.versions, strict=True)
    outcomes = tuple([_outcome(*one) for one in decided])
    return Accepted(bill, outcomes, replayed=row.call_outcome == "replayed")


def _statement(of_the_call: tuple[Any, ...], entries: Sequence[Entry]) -> tuple[LiteralString, Sequence[Any]]:
    one, many, rows = _ONE, _MANY, [_values(e) for e in entries]
    if any(e.draft.reference is not None for e in entries):
        one, many = _ONE_REFERENCED, _MANY_REFERENCED
        rows = [(*row, e.draft.source, e.draft.reference) for row, e in zip(rows, entries, strict=True)]
    if len(rows) == 1:
        return one, (*of_the_call, *rows[0])
    return many, (*of_the_call, *map(array, zip(*rows, strict=True)))


def _values(e: Entry) -> tuple[Any, ...]:
    d = e.draft
    return (
        e.id, e.key, e.fingerprint, d.description, d.quantity, d.unit_price, d.total, d.currency, e.reverses, e.reason,
    )  # fmt: skip


def _outcome(
    asked: Entry, outcome: str, bill_id: UUID, item_id: UUID, position: int, created_at: datetime, version: int
) -> Outcome:
    """`bill_id` is that of the item's own bill, which its reference may have found."""
    if outcome in REFUSALS:
        return Outcome(None, replayed=False, refusal=REFUSALS[outcome]())
    draft = asked.draft
    item = LineItem(
        bill_id, item_id, position, draft.description, draft.currency, draft.quantity, draft.unit_price, draft.total,
        created_at, version, asked.reverses, asked.reason, draft.source, draft.reference,
    )  # fmt: skip
    return Outcome(item, replayed=outcome == "replayed", refusal=None)
