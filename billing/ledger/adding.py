"""Line items of one caller or of many at once: one call of the function that decides, one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import (
    BillClosed,
    BillClosing,
    BillingError,
    BillNotFound,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PeriodEnded,
    ReferenceReused,
    Unauthenticated,
)
from billing.identifiers import new_id
from billing.ledger import database, modes, reads
from billing.ledger.arrays import array
from billing.ledger.clock import rows_of_bill
from billing.ledger.rows import bill_of
from billing.money import EXACT
from billing.origin import Origin

REFUSALS: Mapping[str, type[BillingError]] = {
    "unauthenticated": Unauthenticated,
    "bill_closed": BillClosed,
    "bill_closing": BillClosing,
    "period_ended": PeriodEnded,
    "idempotency_key_reused": IdempotencyKeyReused,
    "reference_reused": ReferenceReused,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """An item that somebody wants on a bill, under the id that it is to have."""

    bill_id: UUID
    item_id: UUID
    origin: Origin
    draft: LineItemDraft
    fingerprint: bytes

    @property
    def keys(self) -> tuple[tuple[object, ...], ...]:
        """What no two items of one call may share: an idempotency key, a reference (whose customer isn't known yet)."""
        key, draft = self.origin.idempotency_key, self.draft
        keys = () if key is None else ((self.bill_id, self.origin.account_id, key),)
        return keys if draft.reference is None else (*keys, (draft.source, draft.reference))

    @property
    def has_reference(self) -> bool:
        return self.draft.reference is not None


@dataclass(frozen=True, slots=True)
class Added:
    """The bill as the item left it (as it stands now, for a replay), and the item, which may be on another bill of the
    customer when it is known by its reference.

    `beside` are the newest items of the bill as far as the call knows them: those it added up to this one, in order.
    """

    bill: Bill
    item: LineItem
    replayed: bool
    beside: tuple[LineItem, ...] = ()


Outcome = Added | BillingError | psycopg.Error


def asked(origin: Origin, bill_id: UUID, draft: LineItemDraft) -> Asked:
    return Asked(bill_id, new_id(), origin, draft, draft.fingerprint())


def add_together(engine: Engine, everything: Sequence[Asked], *, waits: bool) -> list[Outcome | None]:
    """What became of each, as if they had come one after the other in this order.

    None where there is no such bill or, unless it `waits`, where somebody else has the bill locked. No two may share
    one of their keys. Raises as `database.rows` does, and then nothing was added; in test mode, where each is stored
    by itself, what would be raised is the outcome of that one.
    """
    if modes.is_test(engine):
        return [_by_its_clock(engine, one, waits=waits) for one in everything]
    return _decided(database.rows(engine, *_statement(everything, waits=waits)), everything)


def _by_its_clock(engine: Engine, one: Asked, *, waits: bool) -> Outcome | None:
    """Of test bills no two need have the same time, so each goes alone."""
    try:
        rows = rows_of_bill(engine, one.bill_id, *_statement([one], waits=waits), waits=waits)
    except IdempotencyInProgress as locked:
        return locked if waits else None
    except (BillingError, psycopg.Error) as error:
        return error
    (outcome,) = _decided(rows, [one])
    return outcome


def _decided(rows: Iterable[Any], everything: Sequence[Asked]) -> list[Outcome | None]:
    outcomes: list[Outcome | None] = [None] * len(everything)
    for row in rows:
        for n, outcome in _outcomes(row, everything):
            outcomes[n] = outcome
    return outcomes


def alone(engine: Engine, one: Asked) -> Added:
    """One item. Raises what refused it."""
    (outcome,) = add_together(engine, [one], waits=True)
    if outcome is None:
        raise BillNotFound
    if not isinstance(outcome, Added):
        raise outcome
    return as_read(engine, outcome)


def as_read(engine: Engine, added: Added) -> Added:
    """A replay on a closed bill answers with the bill as a reader sees it; the function knows only its subtotals."""
    return replace(added, bill=reads.bill(engine, added.bill.id)) if added.bill.is_closed else added


_CALL: LiteralString = """
    SELECT (bill).*, currencies, subtotals, now, (customer).external_id, (customer).name, (customer).billing_address,
           ns, outcomes, item_ids, positions, created_ats, versions, homes
    FROM add_line_items_together(%s,
"""
_MANY_BEGINS: LiteralString = (
    _CALL
    + """
        %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::bytea[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[]
"""
)
# For one PostgreSQL makes the arrays: it takes psycopg a tenth of a millisecond to write so many lists.
_ONE_BEGINS: LiteralString = (
    _CALL
    + """
        ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::text], ARRAY[%s::text],
        ARRAY[%s::text], ARRAY[%s::text], ARRAY[%s::text], ARRAY[%s::bytea], ARRAY[%s::text], ARRAY[%s::numeric],
        ARRAY[%s::numeric], ARRAY[%s::numeric], ARRAY[%s::text]
"""
)
_MANY: LiteralString = _MANY_BEGINS + ")"
_ONE: LiteralString = _ONE_BEGINS + ")"
# Where any has one: most don't, and pay nothing for it.
_MANY_REFERENCED: LiteralString = _MANY_BEGINS + ", %s::text[], %s::text[])"
_ONE_REFERENCED: LiteralString = _ONE_BEGINS + ", ARRAY[%s::text], ARRAY[%s::text])"


def _statement(everything: Sequence[Asked], *, waits: bool) -> tuple[LiteralString, Sequence[Any]]:
    of_one, of_many, rows = _ONE, _MANY, [_values(one) for one in everything]
    if any(one.draft.reference is not None for one in everything):
        of_one, of_many = _ONE_REFERENCED, _MANY_REFERENCED
        rows = [(*row, one.draft.source, one.draft.reference) for row, one in zip(rows, everything, strict=True)]
    if len(rows) == 1:
        return of_one, (waits, *rows[0])
    return of_many, (waits, *map(array, zip(*rows, strict=True)))


def _values(one: Asked) -> tuple[Any, ...]:
    origin, actor, draft = one.origin, one.origin.actor, one.draft
    return (
        one.bill_id, one.item_id, origin.account_id, origin.key_to_confirm, actor.kind, actor.id, actor.name,
        origin.request_id, origin.idempotency_key, one.fingerprint, draft.description, draft.quantity,
        draft.unit_price, draft.total, draft.currency,
    )  # fmt: skip


def _outcomes(row: Any, everything: Sequence[Asked]) -> Iterator[tuple[int, Outcome]]:
    """One bill's, in order. The row is the bill before the call; it grows by each item as the database's did."""
    growing = _Growing(row)
    replayed: list[tuple[int, LineItem]] = []
    for place, outcome in enumerate(row.outcomes):
        n = row.ns[place] - 1
        if outcome in REFUSALS:
            yield n, REFUSALS[outcome]()
            continue
        item = _item(everything[n], row, place)
        if outcome == "added":
            yield n, growing.by(item)
        else:
            replayed.append((n, item))
    for n, item in replayed:
        yield n, Added(growing.bill, item, replayed=True)


class _Growing:
    """A bill, and what it becomes with each item: nothing is read twice for that."""

    def __init__(self, row: Any) -> None:
        self.bill = bill_of(row, row, zip(row.currencies or (), row.subtotals or (), strict=True))
        self._now: datetime = row.now
        self._items: tuple[LineItem, ...] = ()

    def by(self, item: LineItem) -> Added:
        subtotals = dict(self.bill.subtotals)
        subtotals[item.currency] = EXACT.add(subtotals.get(item.currency, Decimal(0)), item.total)
        self._items += (item,)
        self.bill = replace(
            self.bill,
            version=item.added_in_version,
            item_count=item.position,
            updated_at=self._now,
            subtotals=tuple(sorted(subtotals.items())),
        )
        return Added(self.bill, item, replayed=False, beside=self._items)


def _item(one: Asked, row: Any, place: int) -> LineItem:
    draft = one.draft
    return LineItem(
        row.homes[place] if row.homes else one.bill_id, row.item_ids[place], row.positions[place], draft.description,
        draft.currency, draft.quantity, draft.unit_price, draft.total, row.created_ats[place], row.versions[place],
        source=draft.source, reference=draft.reference,
    )  # fmt: skip
