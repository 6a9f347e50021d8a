"""A closed bill, and a system whose API, pages and workflow all say of it what its rows say."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Self

from temporalio.client import WorkflowExecutionStatus

from tests.chaos import views
from tests.chaos.expected import Expected, Item
from tests.chaos.stored import Stored
from tests.chaos.test_views import BILL, closed_bill
from tests.chaos.views import Views


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
