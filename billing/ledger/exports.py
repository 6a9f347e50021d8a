"""Everything that was stored of a kind, however much: some rows at a time, all of one instant, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, literal_column, select

from billing.bill import Bill, BillStatus, LineItem
from billing.ledger.bill_list import BESIDE, BillFilter, Order, SortKey, bill_with_sums, page_query
from billing.ledger.database import Questions, in_one_snapshot
from billing.ledger.events import Event, event_of
from billing.ledger.rows import Row, line_item_of
from billing.ledger.tables.bills import BillRow, CustomerRow, LineItemRow
from billing.ledger.tables.log import EventRow

# Whoever stops reading closes it, since it holds a connection.
Stored = TypeVar("Stored")
Batches: TypeAlias = Generator[list[Stored], None, None]

AT_ONCE = 500
WITHIN_S = 600

_BILLS = BillRow.__table__
_CUSTOMERS = CustomerRow.__table__
_ITEMS = LineItemRow.__table__
_EVENTS = EventRow.__table__

_OLDEST_FIRST = Order(SortKey.CREATED, descending=False)
_EVERY = 2**62


@dataclass(frozen=True, slots=True)
class LineItemFilter:
    """Which items: of which bills, and, from `begins` on and before `ends`, when they were added. `among` are the only
    customers whose bills count."""

    bill_id: UUID | None = None
    customer_id: str | None = None
    status: BillStatus | None = None
    currency: str | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    among: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of bills, and, from `begins` on and before `ends`, when they happened. `among` as of items."""

    bill_id: UUID | None = None
    customer_id: str | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    among: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """`customer_id` is the caller's own name for the customer."""

    item: LineItem
    customer_id: str


def bills(engine: Engine, wanted: BillFilter) -> Batches[Bill]:
    """In the order of their ids."""

    def write(ask: Questions) -> tuple[str, Mapping[str, Any]]:
        return ask.written(page_query(ask, wanted, _OLDEST_FIRST, None, limit=_EVERY), within=_WHOLE)

    return _in_one_snapshot(engine, write, bill_with_sums)


# In the page's own order, which needs no sorting: the first rows come at once.
_WHOLE = f"SELECT page.*, customer.*, sums.* FROM ({{}}) AS page {BESIDE} ORDER BY page.id"  # noqa: S608  constants


def line_items(engine: Engine, wanted: LineItemFilter) -> Batches[ExportedItem]:
    """Bill by bill, in the order of their positions."""
    return _in_one_snapshot(
        engine,
        lambda ask: ask.written(_line_items(wanted)),
        lambda row: ExportedItem(line_item_of(row), row.external_id),
    )


def _line_items(wanted: LineItemFilter) -> Select[Any]:
    query = (
        select(_ITEMS, _CUSTOMERS.c.external_id)
        .join(_BILLS, _BILLS.c.id == _ITEMS.c.bill_id)
        .join(_CUSTOMERS, _CUSTOMERS.c.id == _BILLS.c.customer_id)
        .order_by(_ITEMS.c.bill_id, _ITEMS.c.position)
    )
    if wanted.bill_id is not None:
        query = query.where(_ITEMS.c.bill_id == wanted.bill_id)
    if wanted.customer_id is not None:
        query = query.where(_CUSTOMERS.c.external_id == wanted.customer_id)
    if wanted.among is not None:
        query = query.where(_BILLS.c.customer_id.in_(sorted(wanted.among)))
    if wanted.status is not None:
        query = query.where(_BILLS.c.status == wanted.status)
    if wanted.currency is not None:
        query = query.where(_ITEMS.c.currency == wanted.currency)
    return query.where(*_within(_ITEMS.c.created_at, wanted.begins, wanted.ends))


def events(engine: Engine, wanted: EventFilter) -> Batches[Event]:
    """In the order in which a reader of the log meets them, which is by bill the order of versions."""
    return _in_one_snapshot(engine, lambda ask: ask.written(_events(wanted)), event_of)


def _events(wanted: EventFilter) -> Select[Any]:
    # To the letter: of a parameter, the database knows no more than that it is one of eight.
    query = select(_EVENTS).where(_EVENTS.c.subject_type == literal_column("'bill'"))
    if wanted.bill_id is not None:
        query = query.where(_EVENTS.c.subject_id == wanted.bill_id)
    if wanted.customer_id is not None:
        of_customer = select(_BILLS.c.id).join(_CUSTOMERS, _CUSTOMERS.c.id == _BILLS.c.customer_id)
        query = query.where(_EVENTS.c.subject_id.in_(of_customer.where(_CUSTOMERS.c.external_id == wanted.customer_id)))
    if wanted.among is not None:
        query = query.where(
            _EVENTS.c.subject_id.in_(select(_BILLS.c.id).where(_BILLS.c.customer_id.in_(sorted(wanted.among))))
        )
    query = query.where(*_within(_EVENTS.c.occurred_at, wanted.begins, wanted.ends))
    return query.order_by(_EVENTS.c.xid, _EVENTS.c.seq)


def _within(
    instant: ColumnElement[datetime], begins: datetime | None, ends: datetime | None
) -> list[ColumnElement[bool]]:
    return [*([instant >= begins] if begins else []), *([instant < ends] if ends else [])]


def _in_one_snapshot(
    engine: Engine, write: Callable[[Questions], tuple[str, Mapping[str, Any]]], read: Callable[[Row], Stored]
) -> Batches[Stored]:
    with closing(in_one_snapshot(engine, write, at_once=AT_ONCE, within_s=WITHIN_S)) as found:
        for rows in found:
            yield [read(row) for row in rows]
