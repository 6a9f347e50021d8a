"""The list of bills: its filters, its orders, its pages. What no index has in order can't be sorted by.

`updated_at` is one of those: an index on it would be rewritten with every item that accrues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Engine,
    Select,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from billing.bill import TEST_NUMBER, Bill, BillStatus
from billing.ledger import modes
from billing.ledger.database import Questions, questions
from billing.ledger.reads import names
from billing.ledger.rows import Row, bill_of
from billing.ledger.tables.bills import BEGIN_MONTH, END_MONTH, BillRow, CustomerRow, SubtotalRow
from billing.money import Currency, Payable
from billing.period import LONGEST

_BILLS = BillRow.__table__
_CUSTOMERS = CustomerRow.__table__

# Up to so many customers, their bills are looked up; of more, some are found soon in any order.
FEW_CUSTOMERS = 150
BATCH = 500
HIGHEST_NUMBER = 2**63 - 1
# As the indexes have them, to the letter.
_NUMBER_OR_ZERO = func.coalesce(_BILLS.c.number, literal_column("0"))
_NUMBER_OR_HIGHEST = func.coalesce(_BILLS.c.number, literal_column(str(HIGHEST_NUMBER)))
_BEGIN_MONTH: ColumnElement[datetime] = literal_column(f"({BEGIN_MONTH})")
_END_MONTH: ColumnElement[datetime] = literal_column(f"({END_MONTH})")
_CUSTOMER_ORDER = func.lower(
    func.coalesce(func.nullif(_CUSTOMERS.c.name, literal_column("''")), _CUSTOMERS.c.external_id)
)

_NUMBER = re.compile(r"(?:no\.?\s*|#\s*)?([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_ID_START = re.compile(r"[0-9a-f]{8,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills to list. `starts_before` and `ends_after` keep bills whose period overlaps that span; `text`
    finds a bill's number, its id or the beginning of it, or a part of its customer's id or name. `among` are the only
    customers, by our ids, whose bills may be listed at all."""

    customer_id: str | None = None
    status: BillStatus | None = None
    currency: str | None = None
    ends_after: datetime | None = None
    starts_before: datetime | None = None
    text: str | None = None
    among: frozenset[UUID] | None = None

    @property
    def has_span(self) -> bool:
        return self.ends_after is not None or self.starts_before is not None


class SortKey(StrEnum):
    """`CREATED` is the order of ids. By number, bills that have none come last, whatever the direction; by customer,
    it is the name the customer has now that counts."""

    CREATED = "created"
    NUMBER = "number"
    CUSTOMER = "customer"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class Order:
    """Every order is total: bills with the same key are in the order of their ids."""

    by: SortKey
    descending: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: its last bill, and that bill's number or end of period where these order the list."""

    bill_id: UUID
    key: int | datetime | None = None

    @classmethod
    def of(cls, bill: Bill, order: Order) -> Place:
        keys = {SortKey.NUMBER: bill.number, SortKey.PERIOD_END: bill.period.end}
        return cls(bill.id, keys.get(order.by))


EVERY_BILL = BillFilter()
NEWEST_FIRST = Order(SortKey.CREATED, descending=True)


def bills(
    engine: Engine,
    wanted: BillFilter = EVERY_BILL,
    *,
    order: Order = NEWEST_FIRST,
    limit: int,
    after: Place | None = None,
) -> list[Bill]:
    """A page of the list; `after` is the place where the page before ended."""
    with questions(engine) as ask:
        page = page_query(ask, wanted, order, after, limit=limit)
        return [bill_with_sums(row) for row in ask(page, within=WHOLE)]


# One question with a row for each bill takes less than half of what bills, sums and customers take one after the other.
# A closed bill has a copy of its customer; with a limit, each is looked up and no plan reads them all.
BESIDE = """
    LEFT JOIN LATERAL (
        SELECT external_id, name, billing_address
        FROM customers WHERE id = page.customer_id AND page.billed_customer IS NULL LIMIT 1) AS customer ON true
    CROSS JOIN LATERAL (
        SELECT array_agg(currency ORDER BY currency) AS currencies, array_agg(subtotal ORDER BY currency) AS subtotals,
               array_agg(payable ORDER BY currency) AS payables, array_agg(rounding ORDER BY currency) AS roundings,
               array_agg(minor_units ORDER BY currency) AS minor_units
        FROM bill_subtotals WHERE bill_id = page.id) AS sums
"""
WHOLE = f"""
    SELECT page.*, customer.*, sums.*
    FROM (SELECT listed.*, row_number() OVER () AS place FROM ({{}}) AS listed) AS page
    {BESIDE}
    ORDER BY page.place
"""  # noqa: S608  constants


def bill_with_sums(row: Row) -> Bill:
    """From a row with what stands beside its page."""
    currencies, subtotals = row.currencies or (), row.subtotals or ()
    closed = row.status == BillStatus.CLOSED and currencies
    payables = zip(currencies, row.minor_units, subtotals, row.payables, row.roundings, strict=True) if closed else ()
    return bill_of(
        row,
        row,
        zip(currencies, subtotals, strict=True),
        (Payable(Currency(code, units), *amounts) for code, units, *amounts in payables),
    )


def page_query(ask: Questions, wanted: BillFilter, order: Order, after: Place | None, *, limit: int) -> Select[Any]:
    """The list from a place on."""
    query = select(*modes.bill_columns(test=ask.test))
    if order.by is SortKey.CUSTOMER:
        query = query.join(_CUSTOMERS, _CUSTOMERS.c.id == _BILLS.c.customer_id)
    # To the letter: of a parameter, a plan that is kept for any expects a tenth of the table.
    at_most: ColumnElement[int] = literal_column(str(limit))
    query = _ordered(_filtered(ask, query, wanted), order, after).limit(at_most)
    of_anybody = wanted.customer_id is None and wanted.among is None
    if order.by is SortKey.CREATED and wanted.has_span and of_anybody:
        # How many bills a pair of months has, and how many of them fit, is estimated far too low: they would all be
        # read and sorted.
        ask.plainly("SELECT set_config('enable_bitmapscan', 'off', true)")
        return _merged(query, _months(ask, wanted), order).limit(at_most)
    return query


def _months(ask: Questions, wanted: BillFilter) -> Sequence[Any]:
    """The months in which bills begin and end that may overlap the span: a handful of pairs in each year."""
    starts_before = wanted.starts_before or datetime.max.replace(tzinfo=UTC)
    rows = ask.plainly(_PAIRS_OF_MONTHS, {"starts_before": starts_before})
    return [row for row in rows if wanted.ends_after is None or _next_month(row.ends) > _naive(wanted.ends_after)]


def _merged(query: Select[Any], months: Sequence[Any], order: Order) -> Select[Any]:
    """The first of each pair of months, in the order of ids by index, and of these the first of all.

    In that order alone, every newer bill would be passed by; sorted, every bill of the span would be read.
    """
    pairs = (
        func.unnest(
            cast(literal([pair.begins for pair in months], ARRAY(DateTime)), ARRAY(DateTime)),
            cast(literal([pair.ends for pair in months], ARRAY(DateTime)), ARRAY(DateTime)),
        )
        .table_valued("begins", "ends", name="pairs")
        .render_derived()
    )
    within = query.where(pairs.c.begins == _BEGIN_MONTH, pairs.c.ends == _END_MONTH).lateral()
    by_id = within.c.id.desc() if order.descending else within.c.id
    return select(within).select_from(pairs.join(within, true())).order_by(by_id)


# From one pair to the next by index: there are few, however many bills.
_PAIRS_OF_MONTHS = f"""
    WITH RECURSIVE pairs AS (
        (SELECT {BEGIN_MONTH} AS begins, {END_MONTH} AS ends FROM bills ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT next.* FROM pairs CROSS JOIN LATERAL (
            SELECT {BEGIN_MONTH} AS begins, {END_MONTH} AS ends FROM bills
            WHERE ({BEGIN_MONTH}, {END_MONTH}) > (pairs.begins, pairs.ends) ORDER BY 1, 2 LIMIT 1) AS next)
    SELECT begins, ends FROM pairs WHERE begins < CAST(%(starts_before)s AS timestamptz) AT TIME ZONE 'UTC'
"""  # noqa: S608  constants


def _next_month(month: datetime) -> datetime:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def in_batches(engine: Engine, wanted: BillFilter) -> Iterator[list[Bill]]:
    """Every bill that fits, newest first; no connection is held between two batches.

    In the order of ids, which never change: a bill that gets its number or another end meanwhile is neither
    missed nor there twice.
    """
    after = None
    while batch := bills(engine, wanted, limit=BATCH, after=after):
        yield batch
        if len(batch) < BATCH:
            return
        after = Place(batch[-1].id)


def _ordered(query: Select[Any], order: Order, after: Place | None) -> Select[Any]:
    keys = _keys(order)
    query = query.order_by(*(key.desc() if order.descending else key for key in keys))
    if after is None:
        return query
    place = _place(order, after)
    if order.by is SortKey.CUSTOMER:
        # The first two alone, so that the index of customers is entered at the place.
        query = query.where(_beyond(keys[:2], place[:2], order, inclusive=True))
    return query.where(_beyond(keys, place, order))


def _keys(order: Order) -> tuple[ColumnElement[Any], ...]:
    if order.by is SortKey.NUMBER:
        return _NUMBER_OR_ZERO if order.descending else _NUMBER_OR_HIGHEST, _BILLS.c.id
    if order.by is SortKey.PERIOD_END:
        return _BILLS.c.period_end, _BILLS.c.id
    if order.by is SortKey.CUSTOMER:
        return _CUSTOMER_ORDER, _CUSTOMERS.c.id, _BILLS.c.id
    return (_BILLS.c.id,)


def _place(order: Order, after: Place) -> tuple[ColumnElement[Any], ...]:
    bill_id = literal(after.bill_id)
    if order.by is SortKey.NUMBER:
        without = 0 if order.descending else HIGHEST_NUMBER
        return literal(without if after.key is None else after.key, BigInteger), bill_id
    if order.by is SortKey.PERIOD_END:
        return literal(after.key), bill_id
    if order.by is SortKey.CUSTOMER:
        of_the_bill = select(_BILLS.c.customer_id).where(_BILLS.c.id == after.bill_id).scalar_subquery()
        name = select(_CUSTOMER_ORDER).where(_CUSTOMERS.c.id == of_the_bill).scalar_subquery()
        return name, of_the_bill, bill_id
    return (bill_id,)


def _beyond(
    keys: tuple[ColumnElement[Any], ...],
    place: tuple[ColumnElement[Any], ...],
    order: Order,
    *,
    inclusive: bool = False,
) -> ColumnElement[bool]:
    here, there = tuple_(*keys), tuple_(*place)
    if inclusive:
        return here <= there if order.descending else here >= there
    return here < there if order.descending else here > there


def _filtered(ask: Questions, query: Select[Any], wanted: BillFilter) -> Select[Any]:
    if wanted.among is not None:
        query = query.where(_BILLS.c.customer_id.in_(sorted(wanted.among)))
    if wanted.customer_id is not None:
        of = select(_CUSTOMERS.c.id).where(_CUSTOMERS.c.external_id == wanted.customer_id)
        query = query.where(_BILLS.c.customer_id == of.correlate(None).scalar_subquery())
    if wanted.status is not None:
        query = query.where(_BILLS.c.status == wanted.status)
    if wanted.currency is not None:
        query = query.where(
            exists().where(and_(SubtotalRow.bill_id == _BILLS.c.id, SubtotalRow.currency == wanted.currency))
        )
    if wanted.ends_after is not None:
        query = query.where(_BILLS.c.period_end > wanted.ends_after)
    if wanted.starts_before is not None:
        # The second follows from the first, and is what an index can find.
        end = literal(wanted.starts_before) + literal(LONGEST)
        query = query.where(_BILLS.c.period_start < wanted.starts_before, _BILLS.c.period_end < end)
    return query.where(_matches(ask, wanted.text)) if wanted.text else query


def _matches(ask: Questions, words: str) -> ColumnElement[bool]:
    alternatives = [_of_customers(ask, words)]
    number = _NUMBER.fullmatch(words.upper().removeprefix(TEST_NUMBER) if ask.test else words)
    if number:
        alternatives.append(_BILLS.c.number == int(number[1]))
    span = _ids_beginning(words.lower().removeprefix("bill-"))
    if span:
        alternatives.append(_BILLS.c.id.between(*span))
    return or_(*alternatives)


def _of_customers(ask: Questions, words: str) -> ColumnElement[bool]:
    named = select(_CUSTOMERS.c.id).where(names(words)).limit(FEW_CUSTOMERS + 1)
    found = [row.id for row in ask(named)]
    if len(found) > FEW_CUSTOMERS:
        # A value looked up bill by bill, in the order of the list: as a join it would be taken the other way round,
        # all bills of these customers be read and sorted.
        customer = _CUSTOMERS.alias()
        of_the_bill = select(names(words, customer)).where(customer.c.id == _BILLS.c.customer_id)
        return of_the_bill.correlate(_BILLS).scalar_subquery()
    return _BILLS.c.customer_id.in_(found) if found else false()


def _ids_beginning(text: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id that begin like this; None for what begins no id, or too many."""
    digits = text.replace("-", "")
    return (UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))) if _ID_START.fullmatch(digits) else None
