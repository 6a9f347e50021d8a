"""A bill as its customer gets it: with its seller and its lines, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, select, union_all
from sqlalchemy.orm import aliased

from billing.bill import Bill, LineItem, Seller
from billing.errors import BillNotFound
from billing.ledger import seller
from billing.ledger.clock import now
from billing.ledger.database import rows, snapshot
from billing.ledger.reads import read_bill
from billing.ledger.rows import line_item_of
from billing.ledger.standings import names_word
from billing.ledger.tables.bills import LineItemRow

_ITEMS = LineItemRow.__table__
STREAMED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class DocumentedBill:
    """`items` are those after the position asked for. `counterparts` are positions by item id: of the line that took
    the item back, or that it takes back. A bill that isn't closed names the seller as it is now."""

    bill: Bill
    seller: Seller
    items: Sequence[LineItem]
    counterparts: Mapping[UUID, int]
    now: datetime


def read(engine: Engine, bill_id: UUID, *, after: int = 0, limit: int) -> DocumentedBill:
    """Raises BillNotFound."""
    with snapshot(engine) as connection:
        bill = read_bill(connection, bill_id)
        items = _items(connection, bill_id, after, limit)
        counterparts, instant = _counterparts(connection, items), now(connection)
    return DocumentedBill(bill, bill.seller or seller.read(engine), items, counterparts, bill.by_its_clock(instant))


_NAMES = """
    SELECT c.version AS customer, s.version AS seller
    FROM bills b JOIN customers c ON c.id = b.customer_id CROSS JOIN seller s WHERE b.id = %s
"""


def names_version(engine: Engine, bill_id: UUID) -> str:
    """Stands for what an open bill says of its seller and its customer. Raises BillNotFound."""
    found = rows(engine, _NAMES, (bill_id,))
    if not found:
        raise BillNotFound
    return names_word(found[0].customer, found[0].seller)


def _items(connection: Connection, bill_id: UUID, after: int, limit: int) -> list[LineItem]:
    query = select(_ITEMS).where(_ITEMS.c.bill_id == bill_id, _ITEMS.c.position > after)
    return [line_item_of(row) for row in connection.execute(query.order_by(_ITEMS.c.position).limit(limit))]


def _counterparts(connection: Connection, items: Sequence[LineItem]) -> dict[UUID, int]:
    """Lines follow each other without gaps, so that a span of positions says which are meant."""
    if not items:
        return {}
    bill_id, first, last = items[0].bill_id, items[0].position, items[-1].position
    reversing, taken_back = aliased(LineItemRow, name="reversing"), aliased(LineItemRow, name="taken_back")
    pair = (taken_back.bill_id == reversing.bill_id) & (taken_back.id == reversing.reverses)
    # Two ways, each by an index: one condition with an OR would look at every reversal of the bill.
    of_reversing = select(reversing.id, taken_back.position).join(taken_back, pair)
    of_taken_back = select(taken_back.id, reversing.position).join(reversing, pair)
    both = union_all(
        of_reversing.where(reversing.bill_id == bill_id, reversing.position.between(first, last)),
        of_taken_back.where(taken_back.bill_id == bill_id, taken_back.position.between(first, last)),
    )
    return {row.id: row.position for row in connection.execute(both)}


def every_line(engine: Engine, bill: Bill) -> Iterator[tuple[LineItem, int | None]]:
    """All lines that the bill had when it was read, however many, each with its counterpart's position; in between
    no connection is held."""
    position = 0
    while position < bill.item_count:
        with snapshot(engine) as connection:
            items = _items(connection, bill.id, position, min(STREAMED_AT_ONCE, bill.item_count - position))
            counterparts = _counterparts(connection, items)
        assert items, "lines have no gaps"
        yield from ((item, counterparts.get(item.id)) for item in items)
        position = items[-1].position
