"""Lines of one bill as somebody looks for them: by words, as the parts of a subtotal, by who added them.

A bill's positions have no gaps, so a range of them bounds what one search reads, however long the bill is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, func, select

from billing.bill import Bill, LineItem
from billing.ledger import timeline
from billing.ledger.database import snapshot
from billing.ledger.reads import read_bill
from billing.ledger.rows import line_item_of
from billing.ledger.tables.bills import LineItemRow
from billing.origin import Actor

MOST_READ = 50_000
MOST_WORDS = 8

_ITEMS = LineItemRow.__table__


@dataclass(frozen=True, slots=True)
class FoundLines:
    """Newest first. `older` is the position before which the search goes on, if there may be more."""

    bill: Bill
    items: Sequence[LineItem]
    older: int | None


@dataclass(frozen=True, slots=True)
class SubtotalParts:
    """The newest lines of one currency, newest first, and how many earlier ones come to how much."""

    bill: Bill
    newest: Sequence[LineItem]
    earlier_count: int
    earlier_total: Decimal


def search(engine: Engine, bill_id: UUID, text: str, *, limit: int, before: int | None = None) -> FoundLines:
    """Lines with every one of the words in their description, or as their currency's code. Raises BillNotFound."""
    with snapshot(engine) as connection:
        bill = read_bill(connection, bill_id)
        end = min(before or bill.item_count + 1, bill.item_count + 1)
        begin = max(1, end - MOST_READ)
        rows = connection.execute(
            select(_ITEMS)
            .where(_ITEMS.c.bill_id == bill_id, _ITEMS.c.position >= begin, _ITEMS.c.position < end)
            .where(*(_says(word) for word in text.split()[:MOST_WORDS]))
            .order_by(_ITEMS.c.position.desc())
            .limit(limit + 1)
        ).all()
    found = [line_item_of(row) for row in rows[:limit]]
    if len(rows) > limit:
        return FoundLines(bill, found, found[-1].position)
    return FoundLines(bill, found, begin if begin > 1 else None)


def _says(word: str) -> ColumnElement[bool]:
    return _ITEMS.c.description.icontains(word, autoescape=True) | (_ITEMS.c.currency == word.upper())


def subtotal_parts(engine: Engine, bill_id: UUID, code: str, *, newest: int) -> SubtotalParts:
    """What a subtotal is the sum of, all read at one instant. Raises BillNotFound."""
    of_currency = (_ITEMS.c.bill_id == bill_id, _ITEMS.c.currency == code)
    with snapshot(engine) as connection:
        bill = read_bill(connection, bill_id)
        rows = connection.execute(
            select(_ITEMS).where(*of_currency).order_by(_ITEMS.c.position.desc()).limit(newest)
        ).all()
        oldest = rows[-1].position if rows else 0
        count, total = connection.execute(
            select(func.count(), func.coalesce(func.sum(_ITEMS.c.total), 0)).where(
                *of_currency, _ITEMS.c.position < oldest
            )
        ).one()
    return SubtotalParts(bill, [line_item_of(row) for row in rows], count, total)


def authors(engine: Engine, items: Sequence[LineItem]) -> Mapping[int, Actor]:
    """Who added these items of one bill, by the version that their adding made."""
    if not items:
        return {}
    return timeline.authors(engine, items[0].bill_id, {item.added_in_version for item in items})
