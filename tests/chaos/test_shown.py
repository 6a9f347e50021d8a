"""What workflow, pages, API and numbers say otherwise than the rows is told: every difference is planted once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Self

import pytest
import requests
from sqlalchemy import Engine, text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from billing.ledger import bills, closing, links
from billing.ledger.database import create_engine
from billing.origin import Origin
from billing.period import Period
from tests.chaos import stored as rows
from tests.chaos import views
from tests.chaos.expected import Expected, Item
from tests.chaos.stored import Stored, number_differences, stored_bill, unknown_bills
from tests.chaos.test_views import BILL, NOW, closed_bill
from tests.chaos.views import Views
from webapp.customer.showing import LINES_A_PAGE
from webapp.pages.shown import ITEMS_SHOWN

Change = Callable[[str], str]


def agreed_bill() -> tuple[Expected, Stored]:
    """The closed bill of one item, with a second item in another currency that a third one takes back."""
    wanted, stored = closed_bill()
    second = Item("2-1-0", "JPY", Decimal("1234.5"))
    third = replace(second, total=-second.total)
    for position, (id_, item) in enumerate({"item-2": second, "item-3": third}.items(), 2):
        wanted.items[id_] = stored.items[id_] = item
        stored.positions[id_] = position
        stored.times.append(stored.times[0])
    wanted.reverses["item-3"] = stored.reverses["item-3"] = "item-2"
    stored.subtotals["JPY"] = SimpleNamespace(subtotal=Decimal("0.0"), payable=Decimal(0))
    stored.row.item_count, stored.row.version, stored.row.number = 3, 6, 17
    added = ("line_items.added", "line_items.added", "line_item.reversed")
    types = ("bill.created", *added, "bill.close_requested", "bill.closed")
    stored.events = [SimpleNamespace(version=n, type=type_) for n, type_ in enumerate(types, 1)]
    wanted.adds = 3
    return wanted, stored


ANSWER: dict[str, Any] = {
    "status": "closed",
    "version": 6,
    "number": 17,
    "item_count": 3,
    "total": {"by_currency": {"GEL": "3.6", "JPY": "0"}},
    "payable": {"GEL": {"amount": "3.60"}, "JPY": {"amount": "0"}},
}


def money(value: str, code: str, kind: str = "") -> str:
    figure = f"{Decimal(value):,f}".replace("-", "\N{MINUS SIGN}")
    return (
        f'<data class="money {kind}" value="{value}"><span class="figure">{figure}</span> '
        f'<span class="code">{code}</span></data>'
    )


AMOUNTS = (
    money("3.6", "GEL", "subtotal") + money("0", "JPY", "subtotal")
    + money("3.60", "GEL", "payable") + money("0", "JPY", "payable")
)  # fmt: skip


def row(id_: str, what: str, value: str, code: str) -> str:
    return f'<tr id="line-item-{id_}"><td class="what">{what}</td><td class="n amount">{money(value, code)}</td></tr>'


STAFF = (
    f'<header id="bill-{BILL}-header"><h1>November <span class="number">No. 17</span></h1>'
    f'<span class="status closed">Closed</span></header><span id="bill-{BILL}-item-count">3</span>'
    f'{AMOUNTS}<table><tbody id="bill-{BILL}-items">'
    + row("item-3", '2-1-0 <span class="tag">reversal: wrong</span>', "-1234.5", "JPY")
    + row("item-2", '<s>2-1-0</s> <span class="tag">reversed: wrong</span>', "1234.5", "JPY")
    + row("item-1", "1-1-0", "3.6", "GEL")
    + "</tbody></table>"
)
CUSTOMER = (
    f'<header id="bill-{BILL}-state"><p class="standing">Closed</p></header>{AMOUNTS}<table><tbody id="charged">'
    + row("item-1", "1-1-0 <small>22 Nov</small>", "3.6", "GEL")
    + row("item-2", '<s>2-1-0</s> <small><span class="tag">taken back by line 3</span></small>', "1234.5", "JPY")
    + row("item-3", '2-1-0 <small><span class="tag">takes back line 2: wrong</span></small>', "-1234.5", "JPY")
    + "</tbody></table>"
)


class Web:
    """Answers like web, as it was told; it is both of the sessions that look at it."""

    def __init__(self) -> None:
        self.bill = ANSWER
        self.html = {f"/bills/{BILL}": STAFF, "/b/token": CUSTOMER}
        self.status = 200
        self.session = self

    def get(self, url: str, timeout: float) -> Any:
        assert timeout > 0
        html = self.html.get(url.removeprefix("http://web"), "")
        return SimpleNamespace(status_code=self.status, text=html, json=lambda: {"data": self.bill})


class Workflow:
    """That of the bill: what it was told to describe itself as, and to say."""

    def __init__(self) -> None:
        self.status = WorkflowExecutionStatus.COMPLETED
        self.figures = SimpleNamespace(
            status="closed", version=6, item_count=3, period_end=closed_bill()[1].row.period_end,
            totals={"GEL": "3.6", "JPY": "0"},
        )  # fmt: skip
        self.later: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def get_workflow_handle_for(self, _: object, id_: str) -> Self:
        assert id_ == f"bill-{BILL}"
        return self

    async def describe(self) -> Any:
        if self.fails is not None:
            raise self.fails
        return SimpleNamespace(status=self.status)

    async def result(self) -> Any:
        said = SimpleNamespace(**vars(self.figures))
        if self.later:
            vars(self.figures).update(self.later.pop(0))
        return said

    async def query(self, _: object) -> Any:
        return SimpleNamespace(figures=self.figures)


class World:
    """What everybody says of the bill: the same until something is planted. Only the comparing is tried here; bin/chaos
    asks the real ones."""

    def __init__(self) -> None:
        self.expected, self.stored = agreed_bill()
        self.web, self.workflow = Web(), Workflow()
        self.numbers: list[str] = []
        self.unknown: list[str] = []

    def differences(self) -> views.Differences:
        stack: Any = SimpleNamespace(url="http://web", engine=None, settings=None)
        looking = Views(stack, "key", {BILL: self.expected})
        looking._api = self.web  # type: ignore[assignment]
        return looking.differences()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def connected(_: object) -> Any:
        return made.workflow

    monkeypatch.setattr(views, "connect", connected)
    monkeypatch.setattr(views, "Staff", lambda _: made.web)
    monkeypatch.setattr(views, "token_of", lambda *_: "token")
    monkeypatch.setattr(links, "create", lambda *_: (SimpleNamespace(id=None), None))
    monkeypatch.setattr(rows, "stored_bill", lambda *_: made.stored)
    monkeypatch.setattr(rows, "number_differences", lambda _: made.numbers)
    monkeypatch.setattr(rows, "unknown_bills", lambda *_: made.unknown)
    monkeypatch.setattr(views, "AGREES_WITHIN_S", 0.0)
    return made


def test_who_agrees_has_no_difference(world: World) -> None:
    assert world.differences() == {}


@pytest.mark.parametrize("name", ["status", "version", "number", "item_count"])
def test_an_answer_of_the_api_with_another_figure_is_told(world: World, name: str) -> None:
    world.web.bill = {**ANSWER, name: "open" if name == "status" else 7}
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith("the API shows ")


@pytest.mark.parametrize(
    "planted",
    [
        {"total": {"by_currency": {"GEL": "3.6000000001", "JPY": "0"}}},
        {"total": {"by_currency": {"GEL": "3.6"}}},
        {"payable": {"GEL": {"amount": "3.61"}, "JPY": {"amount": "0"}}},
        {"payable": {"GEL": {"amount": "3.60"}, "JPY": {"amount": "0"}, "USD": {"amount": "0.00"}}},
    ],
)
def test_an_answer_of_the_api_with_another_amount_is_told(world: World, planted: dict[str, Any]) -> None:
    world.web.bill = {**ANSWER, **planted}
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith(f"the API shows {'sums' if 'total' in planted else 'payable'} ")


def swapped(old: str, new: str) -> Change:
    def change(html: str) -> str:
        assert old in html
        return html.replace(old, new, 1)

    return change


def without_line(id_: str) -> Change:
    return lambda html: re.sub(f'<tr id="line-item-{id_}">.*?</tr>', "", html, count=1)


OTHER_LINES = [
    without_line("item-1"),
    without_line("item-3"),
    swapped("1-1-0", "1-1-1"),
    swapped(money("3.6", "GEL"), money("3.60001", "GEL")),
    swapped(money("3.6", "GEL"), money("3.6", "USD")),
    swapped("<s>2-1-0</s>", "2-1-0"),
    swapped("line-item-item-1", "line-item-item-4"),
    lambda html: html.replace("</tbody>", row("item-4", "1-1-0", "3.6", "GEL") + "</tbody>"),
    # What people read, and not what programs do.
    swapped(money("3.6", "GEL"), money("3.6", "GEL").replace(">3.6<", ">3.7<")),
]
OTHER_AMOUNTS = [
    swapped('subtotal" value="3.6"><span class="figure">3.6<', 'subtotal" value="3.7"><span class="figure">3.7<'),
    swapped('subtotal" value="3.6"><span class="figure">3.6<', 'subtotal" value="3.6"><span class="figure">3.7<'),
    swapped('payable" value="3.60"><span class="figure">3.60<', 'payable" value="3.6"><span class="figure">3.6<'),
    swapped(money("0", "JPY", "payable"), ""),
]


@pytest.mark.parametrize(
    "change",
    [
        *OTHER_LINES,
        *OTHER_AMOUNTS,
        swapped("reversal: wrong", "urgent"),
        swapped("reversed: wrong", "urgent"),
        swapped("No. 17", "No. 1"),
        swapped('<span class="number">No. 17</span>', ""),
        swapped(">Closed<", ">Closing<"),
        swapped('item-count">3<', 'item-count">2<'),
        swapped(f'id="bill-{BILL}-item-count"', ""),
    ],
)
def test_another_page_is_told(world: World, change: Change) -> None:
    world.web.html[f"/bills/{BILL}"] = change(STAFF)
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith(("the page shows ", "its page or its answer: "))


@pytest.mark.parametrize(
    "change",
    [
        *OTHER_LINES,
        *OTHER_AMOUNTS,
        swapped("takes back", "like"),
        swapped("taken back", "like"),
        swapped(">Closed<", ">Open, still accruing<"),
        swapped(">Closed<", ">Paid<"),
    ],
)
def test_another_page_of_the_customers_is_told(world: World, change: Change) -> None:
    world.web.html["/b/token"] = change(CUSTOMER)
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith(("the customer's page shows ", "its page or its answer: "))


def test_a_page_that_fails_is_told(world: World) -> None:
    world.web.status = 500
    assert "answered 500" in world.differences()[BILL][0]


@pytest.mark.parametrize("broken", [AssertionError("no page"), requests.ConnectionError("refused"), KeyError("total")])
def test_who_can_not_be_asked_is_told(world: World, monkeypatch: pytest.MonkeyPatch, broken: Exception) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise broken

    monkeypatch.setattr(world.web, "get", fail)
    assert world.differences()[BILL] == [f"its page or its answer: {broken!r}"]


@pytest.mark.parametrize("page", [STAFF, CUSTOMER])
def test_of_a_long_bill_as_many_lines_are_compared_as_a_page_has(world: World, page: str) -> None:
    """The newest of them for staff, the first for customers."""
    stored, of_staff = world.stored, page is STAFF
    for position in range(4, 2 + LINES_A_PAGE + ITEMS_SHOWN):
        stored.items[f"item-{position}"] = Item(f"{position}", "GEL", Decimal(1))
        stored.positions[f"item-{position}"] = position
    lines = views._lines(stored)
    shown = lines[::-1][:ITEMS_SHOWN] if of_staff else lines[:LINES_A_PAGE]
    assert shown[-1].id == (f"item-{len(lines) - ITEMS_SHOWN + 1}" if of_staff else f"item-{LINES_A_PAGE}")
    assert list(views._other_lines("the page", shown, shown)) == []
    (told,) = views._other_lines("the page", shown[:-1], shown)
    assert told.startswith(f"the page shows as line {len(shown)} of {len(shown) - 1} None, stored is Line(")


@pytest.mark.parametrize(
    "planted",
    [
        {"status": "closing"},
        {"version": 5},
        {"item_count": 2},
        {"totals": {"GEL": "3.6"}},
        {"totals": {"GEL": "3.60", "JPY": "0"}},
        {"period_end": NOW},
    ],
)
@pytest.mark.parametrize("status", [WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.RUNNING])
def test_a_workflow_that_says_otherwise_is_told(
    world: World, planted: dict[str, Any], status: WorkflowExecutionStatus
) -> None:
    vars(world.workflow.figures).update(planted)
    world.workflow.status = status
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith("its workflow says ")


@pytest.mark.parametrize(
    "status", [WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED]
)
def test_the_workflow_of_a_closed_bill_that_did_not_finish_is_told(
    world: World, status: WorkflowExecutionStatus
) -> None:
    world.workflow.status = status
    (sentence,) = world.differences()[BILL]
    assert sentence.startswith("its workflow says ")


def test_a_workflow_that_is_missing_is_told(world: World) -> None:
    world.workflow.fails = RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")
    (sentence,) = world.differences()[BILL]
    assert "workflow not found" in sentence


def test_a_workflow_may_come_to_agree(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "AGREES_WITHIN_S", 60.0)
    world.workflow.figures.version = 4
    world.workflow.later = [{"version": 6}]
    assert world.differences() == {}


def test_a_bill_that_is_gone_is_told(world: World) -> None:
    world.stored = None  # type: ignore[assignment]
    assert world.differences() == {BILL: ["it was opened, and is not stored"]}


def test_what_numbers_and_bills_differ_in_stands_under_no_bill(world: World) -> None:
    world.numbers, world.unknown = ["a gap"], ["a bill"]
    assert world.differences() == {"": ["a gap", "a bill"]}


def test_a_frozen_payable_that_is_rounded_otherwise_is_told(world: World) -> None:
    world.stored.subtotals["GEL"].payable = Decimal("3.61")
    assert any("payable 3.61 of 3.60 GEL" in sentence for sentence in world.differences()[BILL])


@pytest.fixture
def ledger(new_database: Callable[[], str], origin: Origin) -> Iterator[Engine]:
    """Two closed bills and an open one."""
    engine, now = create_engine(new_database()), datetime.now(UTC)
    try:
        period = Period(now, now + timedelta(days=30))
        opened = [bills.open_bill(engine, origin, f"customer-{n}", period).bill.id for n in range(3)]
        for id_ in opened[:2]:
            bills.request_close(engine, origin, id_)
            closing.close_bill(engine, origin, id_, samples=True)
        yield engine
    finally:
        engine.dispose()


def changed(engine: Engine, statement: str) -> None:
    """Whatever rules the tables have: what is planted is what no caller can do."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount == 1


def test_numbers_without_gaps_have_no_difference(ledger: Engine) -> None:
    assert list(number_differences(ledger)) == []


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE bills SET number = 3 WHERE number = 2", "the numbers of closed bills have gaps"),
        ("UPDATE bills SET number = 0 WHERE number = 1", "the numbers of closed bills have gaps"),
        ("UPDATE counters SET last_value = 3 WHERE name = 'bill_number'", "3 numbers were given, 2 bills have one"),
        ("UPDATE counters SET last_value = 1 WHERE name = 'bill_number'", "1 numbers were given, 2 bills have one"),
    ],
)
def test_a_gap_in_the_numbers_is_told(ledger: Engine, statement: str, sentence: str) -> None:
    changed(ledger, statement)
    assert list(number_differences(ledger)) == [sentence]


def test_a_bill_that_nobody_was_told_of_is_told(ledger: Engine) -> None:
    with ledger.connect() as connection:
        ids = [str(id_) for id_ in connection.execute(text("SELECT id FROM bills")).scalars()]
    assert list(unknown_bills(ledger, set(ids))) == []
    assert list(unknown_bills(ledger, set(ids[1:]))) == [f"bill {ids[0]} is stored, and nobody was told of it"]
    assert stored_bill(ledger, ids[0]) is not None
    assert stored_bill(ledger, BILL) is None
