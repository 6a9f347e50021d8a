"""The list of bills: filters, orders, pages that neither repeat nor leave out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, product
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, Select, select, text

from billing.bill import Bill, BillStatus
from billing.ledger import bill_list, bills, closing, customers, line_items, reads
from billing.ledger.bill_list import EVERY_BILL, NEWEST_FIRST, BillFilter, Order, Place, SortKey
from billing.ledger.database import Questions
from billing.ledger.reads import names
from billing.ledger.tables.bills import CustomerRow
from billing.origin import Origin, by_the_system
from billing.period import Period
from tests.support.ledger import OpenBill, draft

ORDERS = [Order(by, descending) for by, descending in product(SortKey, (True, False))]
START = datetime.now(UTC) - timedelta(days=1)
LATER = START + timedelta(days=30)

OpenFor = Callable[..., Bill]


@pytest.fixture
def open_for(engine: Engine, origin: Origin) -> OpenFor:
    def open_(customer: str, *, end: datetime = LATER, closed: bool = False) -> Bill:
        bill = bills.open_bill(engine, origin, customer, Period(START, end)).bill
        if closed:
            bills.request_close(engine, origin, bill.id)
            closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
        return bill

    return open_


@pytest.fixture
def crowd(engine: Engine, origin: Origin, open_for: OpenFor) -> BillFilter:
    """Eleven bills with ties in every order but that of ids; the filter that finds them and no others."""
    mark = uuid4().hex
    for n in range(11):
        customer = f"{mark}-{n % 3}"
        open_for(customer, end=LATER + timedelta(days=n % 2), closed=n % 4 == 0)
    customers.edit(engine, origin, f"{mark}-0", {"name": "zoe"})
    customers.edit(engine, origin, f"{mark}-1", {"name": "Anna"})
    return BillFilter(text=mark)


def all_pages(engine: Engine, wanted: BillFilter, order: Order, size: int) -> list[Bill]:
    found: list[Bill] = []
    after = None
    while page := bill_list.bills(engine, wanted, order=order, limit=size, after=after):
        found += page
        after = Place.of(page[-1], order)
    return found


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_pages_have_every_bill_once_whatever_their_size(engine: Engine, crowd: BillFilter, order: Order) -> None:
    whole = bill_list.bills(engine, crowd, order=order, limit=100)
    assert len(whole) == 11
    for size in (1, 2, 5):
        assert [bill.id for bill in all_pages(engine, crowd, order, size)] == [bill.id for bill in whole]


@pytest.mark.parametrize("descending", [True, False])
def test_each_order_is_what_it_says(engine: Engine, crowd: BillFilter, descending: bool) -> None:
    def listed(by: SortKey) -> list[Bill]:
        return bill_list.bills(engine, crowd, order=Order(by, descending), limit=100)

    assert [b.id for b in listed(SortKey.CREATED)] == sorted(
        (b.id for b in listed(SortKey.CREATED)), reverse=descending
    )
    ends = [b.period.end for b in listed(SortKey.PERIOD_END)]
    assert ends == sorted(ends, reverse=descending)
    numbers = [b.number for b in listed(SortKey.NUMBER)]
    assert numbers[:3] == sorted((n for n in numbers if n), reverse=descending)
    assert numbers[3:] == [None] * 8
    # "Anna", then the one without a name by its id, then "zoe": that is, whatever the case.
    lasts = [b.customer.external_id[-1] for b in listed(SortKey.CUSTOMER)]
    assert "".join(dict.fromkeys(lasts)) in {"120", "210"} if not descending else {"021", "012"}


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_what_is_opened_meanwhile_moves_no_later_page(
    engine: Engine, crowd: BillFilter, open_for: OpenFor, order: Order
) -> None:
    first = bill_list.bills(engine, crowd, order=order, limit=4)
    rest = bill_list.bills(engine, crowd, order=order, limit=100)[4:]
    assert crowd.text is not None
    new = open_for(f"{crowd.text}-1", closed=True)
    then = bill_list.bills(engine, crowd, order=order, limit=100, after=Place.of(first[-1], order))
    assert [bill.id for bill in then if bill.id != new.id] == [bill.id for bill in rest]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_every_order_is_read_from_an_index(engine: Engine, crowd: BillFilter, order: Order) -> None:
    """As an expression in a query that an index has to the letter; else pages of a long list would be sorted anew."""
    place = Place.of(bill_list.bills(engine, crowd, order=order, limit=1)[0], order)
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"))
        connection.execute(text("SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off"))
        connection.execute(text("SET LOCAL enable_mergejoin = off"))
        ask = asking_on(connection)
        query = bill_list.page_query(ask, BillFilter(), order, place, limit=50)
        plan = explained(ask, query)
    assert "Seq Scan" not in plan
    sorts = [line for line in plan.splitlines() if "Sort  (" in line]
    # Bills of one customer are sorted among themselves.
    assert all("Incremental Sort" in line for line in sorts), plan
    assert not sorts or order.by is SortKey.CUSTOMER, plan


def test_customers_are_found_by_the_index_of_their_names_whatever_is_searched(engine: Engine) -> None:
    """In a plan for any parameters, which is made for what is asked often, the expression is still the index's."""
    compiled = str(select(CustomerRow.id).where(names("copper")).compile(engine))
    numbers = count(1)
    query = re.sub(r"%\(\w+\)s", lambda _: f"${next(numbers)}", compiled)
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {query}").scalars())
    assert "ix_customers_search" in plan


def test_filters_narrow_the_list(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    one, other = open_bill(), open_bill()
    line_items.add(engine, origin, one.id, draft(currency="KWD"))
    bills.request_close(engine, origin, other.id)

    def found(**wanted: object) -> set[object]:
        listed = bill_list.bills(engine, BillFilter(**wanted), limit=100)  # type: ignore[arg-type]
        return {bill.id for bill in listed} & {one.id, other.id}

    assert found(customer_id=one.customer.external_id) == {one.id}
    assert found(customer_id="nobody") == set()
    assert found(status=BillStatus.CLOSING) == {other.id}
    assert found(currency="KWD") == {one.id}
    assert found(ends_after=one.period.end) == {other.id}
    assert found(starts_before=one.period.start) == set()
    assert found(starts_before=other.period.start) == {one.id}


def test_words_find_customers_numbers_and_ids(engine: Engine, open_for: OpenFor) -> None:
    mark = uuid4().hex
    one, other = open_for(f"{mark}-one", closed=True), open_for(f"{mark}-other")
    (numbered,) = bill_list.bills(engine, BillFilter(text=f"{mark}-one"), limit=9)

    def found(words: str) -> set[object]:
        return {bill.id for bill in bill_list.bills(engine, BillFilter(text=words), limit=100)} & {one.id, other.id}

    assert found(mark[3:20].upper()) == {one.id, other.id}
    assert found("%") == set()
    for words in (str(numbered.number), f"No. {numbered.number}", f"#{numbered.number}"):
        assert one.id in found(words), words
    for words in (str(other.id), str(other.id).upper(), other.id.hex, f"bill-{other.id}", str(other.id)[:30]):
        assert found(words) == {other.id}, words
    assert found("9" * 30) == set()


def test_words_that_many_customers_have_find_their_bills_too(
    engine: Engine, open_for: OpenFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = uuid4().hex
    made = {open_for(f"{mark}-{n}").id for n in range(3)}
    monkeypatch.setattr(bill_list, "FEW_CUSTOMERS", 2)
    for order in ORDERS:
        listed = bill_list.bills(engine, BillFilter(text=mark), order=order, limit=100)
        assert {bill.id for bill in listed} == made


def test_batches_have_every_bill_and_hold_no_connection(
    engine: Engine, crowd: BillFilter, open_for: OpenFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill_list, "BATCH", 4)
    batches = bill_list.in_batches(engine, crowd)
    first = next(batches)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert crowd.text is not None
    # One that is opened, and one that gets its number meanwhile, are neither missed nor there twice.
    open_for(f"{crowd.text}-2", closed=True)
    found = [bill.id for batch in (first, *batches) for bill in batch]
    assert found == sorted(set(found), reverse=True)
    assert len(found) == 11


def test_the_newest_come_first_unless_asked_otherwise(engine: Engine, crowd: BillFilter) -> None:
    assert bill_list.bills(engine, crowd, limit=3) == bill_list.bills(engine, crowd, order=NEWEST_FIRST, limit=3)


def test_a_span_finds_what_overlaps_it_whatever_months_it_lies_in(engine: Engine, open_for: OpenFor) -> None:
    mark = uuid4().hex
    # A span within a month, one over the turn of months, one over the turn of a year.
    ends = [START + timedelta(days=days) for days in (2, 5, 20, 33, 61, 190, 360)]
    made = [open_for(mark, end=end) for end in ends]

    def found(begin: timedelta | None, end: timedelta | None, limit: int = 100) -> list[Bill]:
        wanted = BillFilter(
            text=mark,
            ends_after=None if begin is None else START + begin,
            starts_before=None if end is None else START + end,
        )
        return bill_list.bills(engine, wanted, limit=limit)

    newest_first = made[::-1]
    for day in (0, 3, 10, 31, 40, 100, 200, 361):
        late = [bill for bill in newest_first if bill.period.end > START + timedelta(days=day)]
        assert found(timedelta(days=day), None) == late
        assert found(timedelta(days=day), timedelta(days=day + 3)) == late
    assert found(None, timedelta(days=1)) == newest_first
    assert found(None, timedelta(0)) == []
    assert found(timedelta(0), timedelta(days=1), limit=3) == newest_first[:3]


def test_pages_of_a_span_neither_repeat_nor_leave_out(engine: Engine, crowd: BillFilter) -> None:
    wanted = replace(crowd, ends_after=START, starts_before=LATER)
    whole = bill_list.bills(engine, wanted, limit=100)
    assert len(whole) == 11
    assert all_pages(engine, wanted, NEWEST_FIRST, 2) == whole


def test_the_bills_of_a_span_are_read_in_order_from_an_index(engine: Engine, crowd: BillFilter) -> None:
    """Only what each pair of months gives at most is sorted; as one list, all newer bills would be passed by."""
    wanted = BillFilter(ends_after=START, starts_before=LATER)
    plan = plan_of(engine, wanted)
    assert "Index Scan Backward using ix_bills_months_id" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_of_a_frequent_word_no_more_bills_are_read_than_are_shown(
    engine: Engine, crowd: BillFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each bill's customer is looked up in the order of the list; joined, all bills of all of them would be sorted."""
    monkeypatch.setattr(bill_list, "FEW_CUSTOMERS", 2)
    plan = plan_of(engine, crowd)
    assert "Index Scan Backward using pk_bills" in plan, plan
    assert "SubPlan" in plan, plan
    assert "Sort" not in plan, plan


def test_customers_and_sums_are_looked_up_for_the_bills_of_the_page_alone(engine: Engine, crowd: BillFilter) -> None:
    with engine.begin() as connection:
        # As large tables have it, where reading all of one costs more.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        ask = asking_on(connection)
        page = bill_list.page_query(ask, EVERY_BILL, NEWEST_FIRST, None, limit=50)
        plan = explained(ask, page, within=bill_list.WHOLE)
    assert "Seq Scan" not in plan, plan
    assert "using pk_customers" in plan, plan
    assert "Join Filter" not in plan, plan


def test_a_page_is_one_question(engine: Engine, crowd: BillFilter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plainly = Questions.plainly

    def counted(self: Questions, statement: str, *parameters: Any) -> list[Any]:
        asked.append(statement)
        return plainly(self, statement, *parameters)

    monkeypatch.setattr(Questions, "plainly", counted)
    for order in ORDERS:
        assert len(bill_list.bills(engine, BillFilter(status=BillStatus.OPEN), order=order, limit=3)) == 3
    assert len(asked) == len(ORDERS)


def test_listed_bills_are_what_they_are_alone(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    """With their sums in the order of the codes, and what their closing stored."""
    made = [open_bill() for _ in range(3)]
    for bill in made[:2]:
        for quantity, currency in enumerate(("USD", "KWD", "EUR"), start=1):
            line_items.add(engine, origin, bill.id, draft(quantity=str(quantity), currency=currency))
    for bill in made[1:]:
        bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
    for bill in made:
        assert bill_list.bills(engine, BillFilter(text=str(bill.id)), limit=9) == [reads.bill(engine, bill.id)]


def plan_of(engine: Engine, wanted: BillFilter) -> str:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        ask = asking_on(connection)
        return explained(ask, bill_list.page_query(ask, wanted, NEWEST_FIRST, None, limit=50))


def asking_on(connection: Connection) -> Questions:
    return Questions(connection.connection.driver_connection, connection.dialect)  # type: ignore[arg-type]


def explained(ask: Questions, query: Select[Any], within: str = "{}") -> str:
    return "\n".join(row[0] for row in ask(query, within=f"EXPLAIN {within}"))
