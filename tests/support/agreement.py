"""Whether everybody agrees about a bill to the last digit: the caller's log of what was acknowledged, the rows,
the JSON answer, the page that staff see, and the bill's workflow, which is given a minute to get there by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import requests
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from billing import money
from tests.support.integrator import Integrator
from tests.support.stack import Stack
from tests.support.visitor import PASSWORD
from webapp.identity import user_changes
from webapp.identity.roles import Role
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import BillFigures

WORKFLOW_AGREES_WITHIN_S = 60
ASKED_AT_ONCE = 8


class Staff:
    """One of the staff, signed in to the pages."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url
        self.session = requests.Session()
        self.session.trust_env = False
        email = f"{uuid4().hex}@example.com"
        user_changes.create(stack.engine, email=email, password=PASSWORD, role=Role.ADMIN)
        form = {"email": email, "password": PASSWORD, "csrf_token": self.page("/session/new").fields["csrf_token"]}
        signed_in = self.session.post(self._url + "/session", data=form, timeout=20, allow_redirects=False)
        assert signed_in.status_code == 303, signed_in.text

    def close(self) -> None:
        self.session.close()

    def page(self, path: str) -> Page:
        answer = self.session.get(self._url + path, timeout=20)
        assert answer.status_code == 200, answer.text
        return Page.parsed(answer.text)


@dataclass
class Shown:
    """A figure on a page: what programs read in it, and what people do."""

    kind: str
    value: str
    words: str = ""

    @property
    def figure(self) -> str:
        return self.words.split()[0].replace(",", "").replace("\N{MINUS SIGN}", "-")

    @property
    def code(self) -> str:
        return self.words.split()[1]


@dataclass
class Page:
    figures: list[Shown] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    words: str = ""

    @classmethod
    def parsed(cls, html: str) -> Page:
        page = cls()
        reader = _Reader(page)
        reader.feed(html)
        reader.close()
        return page

    def amounts(self, kind: str) -> dict[str, str]:
        """Figures of one kind by currency; what people read must be what programs do."""
        found = [shown for shown in self.figures if shown.kind == kind]
        assert all(shown.figure == shown.value for shown in found), found
        return {shown.code: shown.value for shown in found}


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._figure: Shown | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and "name" in given:
            self._page.fields[given["name"]] = given.get("value", "")
        if tag == "data":
            kind = given["class"].removeprefix("money").strip()
            self._figure = Shown(kind, given["value"])
            self._page.figures.append(self._figure)

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._figure = None

    def handle_data(self, data: str) -> None:
        self._page.words += data
        if self._figure is not None:
            self._figure.words += data


def assert_agree(stack: Stack, caller: Integrator, staff: Staff, *bill_ids: str) -> None:
    """About each of these bills, of which `caller` alone asked for line items."""
    for bill_id in bill_ids:
        answer = caller.bill(bill_id)
        _rows_agree(stack, bill_id, answer, caller.acknowledged[bill_id])
    asyncio.run(_workflows_agree(stack, bill_ids))
    for bill_id in bill_ids:
        answer = caller.bill(bill_id)
        _rows_agree(stack, bill_id, answer, caller.acknowledged[bill_id])
        _page_agrees(staff, caller, bill_id, answer)


def _rows_agree(stack: Stack, bill_id: str, answer: Mapping[str, Any], acknowledged: Iterable[Any]) -> None:
    with stack.engine.connect() as connection:
        of_bill = {"id": UUID(bill_id)}
        query = "SELECT * FROM line_items WHERE bill_id = :id ORDER BY position"
        items = connection.execute(text(query), of_bill).all()
        subtotals = connection.execute(text("SELECT * FROM bill_subtotals WHERE bill_id = :id"), of_bill).all()
        bill = connection.execute(text("SELECT * FROM bills WHERE id = :id"), of_bill).one()
    known = {item["id"]: Decimal(item["total"]) for item in acknowledged}
    assert {str(item.id): item.total for item in items} == known
    assert [item.position for item in items] == list(range(1, len(items) + 1))
    assert bill.item_count == answer["item_count"] == len(items)
    assert (bill.status, bill.version) == (answer["status"], answer["version"])
    sums = _sums(items)
    assert {row.currency: row.subtotal for row in subtotals} == sums
    assert answer["total"]["by_currency"] == {code: money.plain(amount) for code, amount in sums.items()}
    payables = {code: money.payable(amount, money.currency(code)) for code, amount in sums.items()}
    assert answer["payable"] == {
        code: {
            "amount": money.plain_minor(payable.amount, payable.currency),
            "rounding": money.plain(payable.rounding),
        }
        for code, payable in payables.items()
    }
    if bill.status == "closed":
        frozen = {row.currency: (row.payable, row.rounding) for row in subtotals}
        assert frozen == {code: (payable.amount, payable.rounding) for code, payable in payables.items()}


def _sums(items: Iterable[Any]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for item in items:
        sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.total
    return sums


def _page_agrees(staff: Staff, caller: Integrator, bill_id: str, answer: Mapping[str, Any]) -> None:
    page = staff.page(f"/bills/{bill_id}")
    assert page.amounts("subtotal") == answer["total"]["by_currency"]
    assert page.amounts("payable") == {code: payable["amount"] for code, payable in answer["payable"].items()}
    shown_in = page.fields["shown_currency"]
    converted = caller.bill(bill_id, f"?currency={shown_in}")["total"]["converted"][shown_in]
    if len(answer["payable"]) > 1:
        assert page.amounts("whole") == {shown_in: converted["amount"]}
    assert answer["status"].capitalize() in page.words
    if answer["status"] == "closed":
        assert f"No. {answer['number']}" in page.words


async def _workflows_agree(stack: Stack, bill_ids: Iterable[str]) -> None:
    client = await connect(stack.settings)
    some_at_once = asyncio.Semaphore(ASKED_AT_ONCE)
    deadline = asyncio.get_running_loop().time() + WORKFLOW_AGREES_WITHIN_S

    async def agrees(bill_id: str) -> None:
        async with some_at_once:
            await _workflow_agrees(stack, client, bill_id, deadline)

    await asyncio.gather(*(agrees(bill_id) for bill_id in bill_ids))


async def _workflow_agrees(stack: Stack, client: Client, bill_id: str, deadline: float) -> None:
    handle = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{bill_id}")
    while True:
        stored = _stored_figures(stack, bill_id)
        said = await _said_by(handle, finished=stored["status"] == "closed")
        if said == stored:
            return
        late = f"after {WORKFLOW_AGREES_WITHIN_S} s the workflow says {said}, not {stored}"
        assert asyncio.get_running_loop().time() < deadline, late
        await asyncio.sleep(0.1)


def _stored_figures(stack: Stack, bill_id: str) -> dict[str, Any]:
    query = """
        SELECT status, version, item_count, period_end,
               (SELECT coalesce(jsonb_object_agg(currency, trim_scale(subtotal)::text), '{}')
                FROM bill_subtotals WHERE bill_id = id) AS totals
        FROM bills WHERE id = :id
    """
    with stack.engine.connect() as connection:
        return dict(connection.execute(text(query), {"id": UUID(bill_id)}).one()._mapping)


async def _last_events(handle: WorkflowHandle[BillWorkflow, BillFigures]) -> str:
    described = (await handle.describe()).raw_description
    events = [event async for event in handle.fetch_history_events()][-12:]
    names = [
        f"{event.event_id} {EventType.Name(event.event_type)} {event.event_time.ToJsonString()}" for event in events
    ]
    return f"{names}; pending: {described.pending_activities} {described.pending_workflow_task}"


async def _said_by(handle: WorkflowHandle[BillWorkflow, BillFigures], *, finished: bool) -> dict[str, Any] | str:
    """The workflow of a closed bill has ended with its figures as the result; any other answers a query."""
    try:
        if finished:
            status = (await handle.describe()).status
            if status is not WorkflowExecutionStatus.COMPLETED:
                return f"that it is {status!r}; last of its history: {await _last_events(handle)}"
            figures = await handle.result()
        else:
            figures = (await asyncio.wait_for(handle.query(BillWorkflow.bill), 5)).figures
    except (RPCError, WorkflowQueryFailedError, TimeoutError) as error:
        return repr(error)
    wanted = ("status", "version", "item_count", "period_end", "totals")
    return {name: getattr(figures, name) for name in wanted}
