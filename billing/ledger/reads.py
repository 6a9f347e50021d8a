"""Reading bills, their items and customers. Reads that belong together see one instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Select, literal_column, or_, select

from billing.bill import Bill, BillStatus, Customer, LineItem
from billing.errors import BillNotFound, CustomerNotFound, LineItemNotFound
from billing.ledger import database, modes
from billing.ledger.database import snapshot
from billing.ledger.rows import Row, bill_of, closed_payable_of, customer_of, line_item_of
from billing.ledger.tables.bills import BillRow, CustomerRow, LineItemRow

_BILLS = BillRow.__table__
_CUSTOMERS = CustomerRow.__table__
_ITEMS = LineItemRow.__table__

HIGHEST_POSITION = 2**63 - 1


def read_bill(connection: Connection, bill_id: UUID) -> Bill:
    """Raises BillNotFound."""
    row = connection.execute(_bills(connection).where(_BILLS.c.id == bill_id)).one_or_none()
    if row is None:
        raise BillNotFound
    return bills_of(connection, [row])[0]


def bills_by_id(connection: Connection, ids: Sequence[UUID]) -> list[Bill]:
    """Those that exist, in the order of their ids."""
    found = connection.execute(_bills(connection).where(_BILLS.c.id.in_(ids)).order_by(_BILLS.c.id))
    return bills_of(connection, found.all())


def newest_of_customer(connection: Connection, customer_id: UUID, *, limit: int) -> list[Bill]:
    newest = _bills(connection).where(_BILLS.c.customer_id == customer_id).order_by(_BILLS.c.id.desc()).limit(limit)
    return bills_of(connection, connection.execute(newest).all())


_LIVE, _TEST = (select(*modes.bill_columns(test=test)) for test in (False, True))


def _bills(connection: Connection) -> Select[Any]:
    return _TEST if modes.is_test(connection) else _LIVE


def bill(engine: Engine, bill_id: UUID) -> Bill:
    with snapshot(engine) as connection:
        return read_bill(connection, bill_id)


def customer_of_bill(engine: Engine, bill_id: UUID) -> UUID | None:
    """Whose bill it is, which never changes; None when there is no such bill."""
    row = database.one_row(engine, "SELECT customer_id FROM bills WHERE id = %s", (bill_id,))
    return None if row is None else cast("UUID", row.customer_id)


def those_of(engine: Engine, ids: Sequence[UUID]) -> Mapping[UUID, Bill]:
    """Those of these bills that exist."""
    if not ids:
        return {}
    with snapshot(engine) as connection:
        return {found.id: found for found in bills_by_id(connection, ids)}


def bill_with_items(
    engine: Engine, bill_id: UUID, *, limit: int, before: int | None = None
) -> tuple[Bill, list[LineItem]]:
    """The bill and its newest `limit` items (those before a position), oldest of them first."""
    with snapshot(engine) as connection:
        found = read_bill(connection, bill_id)
        return found, _newest_items(connection, found.id, limit, before, found.item_count)


def newest_items(engine: Engine, bill: Bill, *, limit: int) -> list[LineItem]:
    """The newest items of the bill as this value of it knows them, oldest of them first."""
    found = database.rows(engine, _NEWEST, (bill.id, bill.item_count, limit))
    return [line_item_of(row) for row in reversed(found)]


_NEWEST = """
    SELECT bill_id, id, position, description, currency, quantity, unit_price, total, created_at, added_in_version,
           reverses, reason, source, reference
    FROM line_items WHERE bill_id = %s AND position <= %s ORDER BY position DESC LIMIT %s
"""


def _newest_items(
    connection: Connection, bill_id: UUID, limit: int, before: int | None, item_count: int
) -> list[LineItem]:
    query = select(_ITEMS).where(_ITEMS.c.bill_id == bill_id)
    if before is not None:
        query = query.where(_ITEMS.c.position < before)
        # As in `items_after`; before what isn't there yet, the newest are wanted.
        if before <= item_count + 1:
            query = query.where(_ITEMS.c.position >= before - limit)
    rows = connection.execute(query.order_by(_ITEMS.c.position.desc()).limit(limit)).all()
    return [line_item_of(row) for row in reversed(rows)]


def items_after(engine: Engine, bill_id: UUID, *, position: int, limit: int) -> list[LineItem]:
    """The items after a position, oldest first. Raises BillNotFound."""
    with snapshot(engine) as connection:
        read_bill(connection, bill_id)
        rows = connection.execute(
            select(_ITEMS)
            # Positions have no gaps: bounded on both sides, no plan reads the rest of a long bill.
            .where(
                _ITEMS.c.bill_id == bill_id,
                _ITEMS.c.position > position,
                _ITEMS.c.position <= min(position + limit, HIGHEST_POSITION),
            )
            .order_by(_ITEMS.c.position)
            .limit(limit)
        )
        return [line_item_of(row) for row in rows]


def line_item(engine: Engine, bill_id: UUID, item_id: UUID) -> LineItem:
    """Raises LineItemNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(
            select(_ITEMS).where(_ITEMS.c.bill_id == bill_id, _ITEMS.c.id == item_id)
        ).one_or_none()
    if row is None:
        raise LineItemNotFound
    return line_item_of(row)


def line_items_by_id(engine: Engine, bill_id: UUID, ids: Sequence[UUID]) -> list[LineItem]:
    """Those that are on the bill, oldest first."""
    with snapshot(engine) as connection:
        rows = connection.execute(
            select(_ITEMS).where(_ITEMS.c.bill_id == bill_id, _ITEMS.c.id.in_(ids)).order_by(_ITEMS.c.position)
        )
        return [line_item_of(row) for row in rows]


def reversals_of(engine: Engine, items: Sequence[LineItem]) -> Mapping[UUID, LineItem]:
    """Which of these items were taken back, and by which item."""
    if not items:
        return {}
    found = database.rows(engine, _REVERSALS, (items[0].bill_id, [item.id for item in items]))
    return {row.reverses: line_item_of(row) for row in found}


_REVERSALS = """
    SELECT bill_id, id, position, description, currency, quantity, unit_price, total, created_at, added_in_version,
           reverses, reason, source, reference
    FROM line_items WHERE bill_id = %s AND reverses = ANY(%s)
"""


def names(words: str, customers: FromClause = _CUSTOMERS) -> ColumnElement[bool]:
    """Customers with these words in their id or name, whatever the case."""
    # The blank to the letter, as the index has it: in a plan for any parameters it would be one of them.
    return (customers.c.external_id + literal_column("' '") + customers.c.name).icontains(words, autoescape=True)


def bills_of(connection: Connection, rows: Sequence[Row]) -> list[Bill]:
    """Bills from their rows, in the same order, with two queries however many they are."""
    if not rows:
        return []
    subtotals: dict[UUID, list[Row]] = defaultdict(list)
    for subtotal in connection.exec_driver_sql(_SUBTOTALS, ([row.id for row in rows],)):
        subtotals[subtotal.bill_id].append(subtotal)
    # A closed bill has a copy of its customer.
    customers = _customers_by_id(connection, {row.customer_id for row in rows if not row.billed_customer})
    return [_bill_of(row, customers.get(row.customer_id), subtotals[row.id]) for row in rows]


# As arrays: a list of so many parameters is a statement of its own for each length, and is made anew each time.
_SUBTOTALS = """
    SELECT bill_id, currency, subtotal, payable, rounding, minor_units FROM bill_subtotals WHERE bill_id = ANY(%s)
"""
_CUSTOMERS_BY_ID = "SELECT id, external_id, name, billing_address FROM customers WHERE id = ANY(%s)"


def _bill_of(row: Row, customer: Row | None, subtotals: list[Row]) -> Bill:
    in_order = sorted(subtotals, key=lambda subtotal: subtotal.currency)
    closed = in_order if row.status == BillStatus.CLOSED else []
    amounts = ((subtotal.currency, subtotal.subtotal) for subtotal in in_order)
    return bill_of(row, customer, amounts, (closed_payable_of(subtotal) for subtotal in closed))


def _customers_by_id(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Row]:
    wanted = list(ids)
    return {row.id: row for row in connection.exec_driver_sql(_CUSTOMERS_BY_ID, (wanted,))} if wanted else {}


def customer(engine: Engine, external_id: str) -> Customer:
    """Raises CustomerNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(select(_CUSTOMERS).where(_CUSTOMERS.c.external_id == external_id)).one_or_none()
    if row is None:
        raise CustomerNotFound
    return customer_of(row)


def customer_id(engine: Engine, external_id: str) -> UUID | None:
    """Our id of theirs; None when there is no such customer."""
    if "\0" in external_id:
        return None
    row = database.one_row(engine, "SELECT id FROM customers WHERE external_id = %s", (external_id,))
    return None if row is None else cast("UUID", row.id)


def customer_by_id(engine: Engine, customer_id: UUID) -> Customer:
    """Raises CustomerNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(select(_CUSTOMERS).where(_CUSTOMERS.c.id == customer_id)).one_or_none()
    if row is None:
        raise CustomerNotFound
    return customer_of(row)


def customers(
    engine: Engine,
    *,
    text: str | None = None,
    limit: int,
    before: UUID | None = None,
    among: Collection[UUID] | None = None,
) -> list[Customer]:
    """Newest first; `text` finds a part of their id, name or e-mail. `among`: these and no others."""
    query = select(_CUSTOMERS)
    if among is not None:
        query = query.where(_CUSTOMERS.c.id.in_(among))
    if text:
        query = query.where(or_(names(text), _CUSTOMERS.c.email.icontains(text, autoescape=True)))
    if before is not None:
        query = query.where(_CUSTOMERS.c.id < before)
    with snapshot(engine) as connection:
        rows = connection.execute(query.order_by(_CUSTOMERS.c.id.desc()).limit(limit))
        return [customer_of(row) for row in rows]
