"""The four views of every bill: the clients' record, PostgreSQL, its workflow, its pages; and the API's own answer.

Each is read by other means than the next one, and all must agree to the last digit.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import ROUND_HALF_UP, Decimal
from itertools import zip_longest
from typing import Any
from uuid import UUID

import requests
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError

from billing import money
from billing.ledger import links
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from tests.chaos import pages
from tests.chaos import stored as rows
from tests.chaos.decisions import LONGEST_REST_S
from tests.chaos.expected import Expected
from tests.chaos.pages import Line
from tests.chaos.stored import Stored
from tests.support.agreement import Staff
from tests.support.stack import SECRET, Stack
from webapp.customer.showing import LINES_A_PAGE
from webapp.customer.tokens import token_of
from webapp.pages.shown import ITEMS_SHOWN
from workflows.bill import BillWorkflow
from workflows.connection import connect

AGREES_WITHIN_S = 60.0
CLOSES_WITHIN_S = 60.0
ASKED_AT_ONCE = 8
Differences = dict[str, list[str]]


class Views:
    def __init__(self, stack: Stack, api_key: str, expected: Mapping[str, Expected]) -> None:
        self._stack = stack
        self._expected = expected
        self._api = requests.Session()
        self._api.trust_env = False
        self._api.headers["Authorization"] = f"Bearer {api_key}"
        self._staff = Staff(stack)
        self.stored: dict[str, Stored] = {}
        self.workflows_agreed_after_s = 0.0

    def close(self) -> None:
        self._api.close()
        self._staff.close()

    def wait_until_closed(self) -> None:
        """What was to close, or ends within the run, does so by itself; what does not is a difference later."""
        deadline = time.monotonic() + LONGEST_REST_S + CLOSES_WITHIN_S
        while self._still_closing() and time.monotonic() < deadline:
            time.sleep(0.2)

    def differences(self) -> Differences:
        """By bill; those of no bill stand under "". Raises nothing: what can't be read differs."""
        found: Differences = defaultdict(list)
        for bill_id, expected in self._expected.items():
            found[bill_id] += expected.differences
            stored = rows.stored_bill(self._stack.engine, bill_id)
            if stored is None:
                found[bill_id].append("it was opened, and is not stored")
            else:
                self.stored[bill_id] = stored
                found[bill_id] += rows.differences(expected, stored)
        found[""] += rows.number_differences(self._stack.engine)
        found[""] += rows.unknown_bills(self._stack.engine, set(self._expected))
        for bill_id, sentence in asyncio.run(self._workflows()).items():
            found[bill_id].append(sentence)
        for bill_id in self.stored:
            try:
                found[bill_id] += self._of_pages(bill_id)
            except (AssertionError, requests.RequestException, KeyError, IndexError) as error:
                found[bill_id].append(f"its page or its answer: {error!r}")
        return {bill_id: sentences for bill_id, sentences in found.items() if sentences}

    def _still_closing(self) -> bool:
        query = """
            SELECT EXISTS (SELECT FROM bills WHERE status = 'closing'
                           OR (status = 'open' AND period_end <= now() + make_interval(secs => :rest)))
        """
        with self._stack.engine.connect() as connection:
            return bool(connection.execute(text(query), {"rest": 2 * LONGEST_REST_S}).scalar_one())

    async def _workflows(self) -> dict[str, str]:
        """What workflows say otherwise after a minute in which nobody did anything."""
        client = await connect(self._stack.settings)
        free, began = asyncio.Semaphore(ASKED_AT_ONCE), time.monotonic()
        found: dict[str, str] = {}

        async def agree(bill_id: str) -> None:
            async with free:
                said, stored = await _said(client, bill_id), _figures(self.stored[bill_id])
            while said != stored:
                if time.monotonic() > began + AGREES_WITHIN_S:
                    found[bill_id] = f"its workflow says {said}, stored is {stored}"
                    return
                await asyncio.sleep(0.5)
                async with free:
                    said = await _said(client, bill_id)

        await asyncio.gather(*(agree(bill_id) for bill_id in self.stored))
        self.workflows_agreed_after_s = time.monotonic() - began
        return found

    def _of_pages(self, bill_id: str) -> Iterator[str]:
        stored = self.stored[bill_id]
        wanted, lines = _shown(stored), _lines(stored)
        answer = self._api.get(f"{self._stack.url}/api/v1/bills/{bill_id}", timeout=20)
        yield from _otherwise("the API", _of_answer(answer.json()["data"]), wanted)
        seen_by_staff = pages.of_staff(self._page(f"/bills/{bill_id}"), bill_id)
        yield from _otherwise("the page", seen_by_staff, {**wanted, "lines": lines[::-1][:ITEMS_SHOWN]})
        link, _ = links.create(self._stack.engine, _origin(), UUID(bill_id))
        seen_by_customer = pages.of_customer(self._page(f"/b/{token_of(SECRET, link.id)}"), bill_id)
        yield from _otherwise("the customer's page", seen_by_customer, {**wanted, "lines": lines[:LINES_A_PAGE]})

    def _page(self, path: str) -> str:
        answer = self._staff.session.get(self._stack.url + path, timeout=20)
        assert answer.status_code == 200, f"{path} answered {answer.status_code}"
        return answer.text


def _shown(stored: Stored) -> dict[str, Any]:
    """What answers and pages are to show of these rows; payable rounded by a rule written here once more."""
    payable = {}
    for code, amount in stored.sums.items():
        unit = Decimal(1).scaleb(-money.currency(code).minor_units)
        payable[code] = amount.quantize(unit, ROUND_HALF_UP)
        frozen = stored.payables[code]
        assert frozen is None or frozen == payable[code], f"payable {frozen} of {amount} {code}"
    row = stored.row
    return {
        "status": row.status,
        "version": str(row.version),
        "number": None if row.number is None else str(row.number),
        "items": str(row.item_count),
        "sums": {code: plain(amount) for code, amount in stored.sums.items()},
        "payable": {code: f"{amount:f}" for code, amount in payable.items()},
    }


def _lines(stored: Stored) -> list[Line]:
    """All of them, in the order of their positions."""
    taken_back = set(stored.reverses.values())
    return [
        Line(id_, item.description, plain(item.total), item.currency, _mark(id_, stored.reverses, taken_back))
        for id_, item in sorted(stored.items.items(), key=lambda one: stored.positions[one[0]])
    ]


def _mark(id_: str, reverses: Mapping[str, str], taken_back: Set[str]) -> str:
    if id_ in taken_back:
        return pages.TAKEN_BACK
    return pages.TAKES_BACK if id_ in reverses else ""


def plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _of_answer(bill: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": bill["status"],
        "version": str(bill["version"]),
        "number": None if bill.get("number") is None else str(bill["number"]),
        "items": str(bill["item_count"]),
        "sums": bill["total"]["by_currency"],
        "payable": {code: one["amount"] for code, one in bill["payable"].items()},
    }


def _otherwise(who: str, shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in shown.items():
        if name == "lines":
            yield from _other_lines(who, value, wanted[name])
        elif value != wanted[name]:
            yield f"{who} shows {name} {value}, stored is {wanted[name]}"


def _other_lines(who: str, shown: Sequence[Line], wanted: Sequence[Line]) -> Iterator[str]:
    """The first one that differs: after a missing line all others would."""
    for place, (one, other) in enumerate(zip_longest(shown, wanted), 1):
        if one != other:
            yield f"{who} shows as line {place} of {len(shown)} {one}, stored is {other}"
            return


def _figures(stored: Stored) -> dict[str, Any]:
    row = stored.row
    return {
        "status": row.status,
        "version": row.version,
        "item_count": row.item_count,
        "period_end": row.period_end,
        "totals": {code: plain(amount) for code, amount in stored.sums.items()},
    }


async def _said(client: Client, bill_id: str) -> dict[str, Any] | str:
    """By the workflow of a bill that is closed, as its result; by any other, when it is asked."""
    handle = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{bill_id}")
    try:
        status = (await asyncio.wait_for(handle.describe(), 5)).status
        if status is WorkflowExecutionStatus.COMPLETED:
            figures = await asyncio.wait_for(handle.result(), 5)
        elif status is WorkflowExecutionStatus.RUNNING:
            figures = (await asyncio.wait_for(handle.query(BillWorkflow.bill), 5)).figures
            if figures.status == "closed":
                return "that the bill is closed, and has not finished"
        else:
            return f"nothing: it is {status!r}"
    except (RPCError, WorkflowQueryFailedError, TimeoutError) as error:
        return repr(error)
    return {name: getattr(figures, name) for name in ("status", "version", "item_count", "period_end", "totals")}


def _origin() -> Origin:
    return Origin(Actor(ActorKind.API_KEY, "chaos", "chaos"), BILLING_ACCOUNT, "chaos")


def closing_instants(stored: Mapping[str, Stored], offset_s: float) -> dict[str, float]:
    """When bills ended by themselves, by the record's clock: `offset_s` is what it is behind the database's."""
    ended: Sequence[tuple[str, Any]] = [(bill_id, bill.row) for bill_id, bill in stored.items()]
    return {
        bill_id: row.effective_at.timestamp() - offset_s for bill_id, row in ended if row.close_reason == "period_end"
    }
