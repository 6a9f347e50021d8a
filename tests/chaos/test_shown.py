"""What workflow, pages and API say otherwise than the rows is told: every difference is planted once."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from billing.ledger import links
from tests.chaos import stored as rows
from tests.chaos import views
from tests.chaos.agreeing import ANSWER, CUSTOMER, STAFF, World, money, row
from tests.chaos.expected import Item
from tests.chaos.test_views import BILL, NOW
from webapp.customer.showing import LINES_A_PAGE
from webapp.pages.shown import ITEMS_SHOWN

Change = Callable[[str], str]


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
