"""The page of a bill with 1,000 lines, and the line that is added on it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.support import staff
from bench.support.bills import SystemBills
from bench.support.figures import Aim, Figure, Plan, at_most
from bench.support.long_bills import BillRequests, filled
from bench.support.settled import settle
from bench.support.stack import Stack
from bench.support.staff import Staff
from bench.support.turns import Asked, Asker, Latencies, Request, in_turns

TITLE = "7: A bill's page"

LINES = 1_000
# So many the console and the customer's page show at a time; "Older lines" brings the next.
CONSOLE_ROWS, CUSTOMER_ROWS = 50, 100
ROUNDS, EACH = 5, 40
OF_BARE, OF_JSON = at_most(1.2), at_most(1.2)
WHY = "docs/decisions/0021-what-a-page-costs.md"
_HIDDEN = re.compile(r'<input type="hidden" (?:id="[^"]*" )?name="([a-z_]+)" value="([^"]*)"')
_SHARED = re.compile(r'(/b/[A-Za-z0-9_-]{64})"')


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    operator, bills = staff.signed_in(stack), SystemBills(stack)
    bare = stack.web("bare", "bench.support.bare_table:create_app()")
    bill, added_to = filled(bills, LINES), filled(bills, LINES)
    settle(stack)
    pages = in_turns(_pages(stack, operator, bill, bare), rounds=plan.rounds(ROUNDS), each=EACH)
    adds = in_turns(_adds(stack, operator, added_to, bare), rounds=plan.rounds(ROUNDS), each=EACH)
    return [
        # The bill with 1,000 lines, as its pages open: they show the newest of them.
        _beside(pages, "console's page, 50 of 1,000 lines", "bare, 1,000 lines", OF_BARE),
        _beside(pages, "customer's page, 100 of 1,000 lines", "bare, 1,000 lines", OF_BARE),
        _beside(adds, "line added on the page", "line added by JSON", OF_JSON, instead=at_most(3)),
        # Beside no more rows than they show.
        _beside(pages, "console's page, 50 of 1,000 lines", "bare, 50 lines", OF_BARE, instead=at_most(4.5)),
        _beside(pages, "customer's page, 100 of 1,000 lines", "bare, 100 lines", OF_BARE, instead=at_most(7)),
        _beside(pages, "50 older lines on the page", "bare, 50 lines", OF_BARE, instead=at_most(4.5)),
        _beside(adds, "line added on the page", "bare, 50 lines", OF_BARE, instead=at_most(6)),
    ]


def _pages(stack: Stack, operator: Staff, bill: str, bare: int) -> Mapping[str, Asked]:
    port, asked = stack.ports["system"], BillRequests(stack, operator, bill)
    shared = _shared(operator, bill)
    return {
        "console's page, 50 of 1,000 lines": Asked(port, asked.page),
        "50 older lines on the page": Asked(port, lambda: asked.older(LINES // 2)),
        "customer's page, 100 of 1,000 lines": Asked(port, lambda: Request(shared, {})),
        **{
            f"bare, {rows:,} lines": Asked(bare, lambda rows=rows: _bare(bill, rows))
            for rows in (CONSOLE_ROWS, CUSTOMER_ROWS, LINES)
        },
    }


def _bare(bill: str, rows: int) -> Request:
    return Request(f"/bills/{bill}?newest={LINES}&rows={rows}", {})


def _adds(stack: Stack, operator: Staff, bill: str, bare: int) -> Mapping[str, Asked]:
    """Each line on the page as the browser sends it: with what the page shows by then. Beside them, as many rows of
    the same bill, bare, as that page shows."""
    port, asked = stack.ports["system"], BillRequests(stack, operator, bill)
    return {
        "line added on the page": Asked(port, OpenPage(operator, asked).add),
        "line added by JSON": Asked(port, asked.add),
        f"bare, {CONSOLE_ROWS} lines": Asked(bare, lambda: _bare(bill, CONSOLE_ROWS)),
    }


class OpenPage:
    """Lags behind the bill by what the other way added since, as a page does whose bill others add to."""

    def __init__(self, operator: Staff, asked: BillRequests) -> None:
        with Asker() as asker:
            page = asker.answer(operator.port, asked.page()).text
        self._shown = {name: value for name, value in _HIDDEN.findall(page) if name in SHOWN}
        self._asked = asked

    def add(self) -> Request:
        shown, by_now = self._shown, {}
        for name in ("newest", "version"):
            by_now[name] = str(int(shown[name]) + 2)
        request = self._asked.add_on_page(shown)
        self._shown = {**shown, **by_now}
        return request


SHOWN = {"seen", "newest", "version", "links", "told", "shown_currency", "oldest"}


def _shared(operator: Staff, bill: str) -> str:
    """The path of a new link for the customer."""
    with Asker() as asker:
        page = asker.answer(operator.port, operator.post(f"/bills/{bill}/shares", {"idempotency_key": "shared"})).text
    found = _SHARED.search(page)
    if found is None:
        raise RuntimeError("no link was made")
    return found[1]


def _beside(found: Latencies, ours: str, other: str, aim: Aim, *, instead: Aim | None = None) -> Figure:
    ratio, why = found.ratio(ours, other), WHY if instead else ""
    return Figure(f"{ours}: p50", found.p50(ours), "ms", other, found.p50(other), ratio, aim, instead, why)
