"""Bills of 100 to 100,000 items: what is asked of them takes as long for the longest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import psycopg

from bench.support import staff
from bench.support.bills import SystemBills
from bench.support.figures import Aim, Figure, Plan, at_most
from bench.support.long_bills import BillRequests, filled
from bench.support.said import say
from bench.support.settled import settle
from bench.support.stack import Stack
from bench.support.turns import Asked, Asker, Request, in_turns

TITLE = "4: A long bill"

SIZES = (100, 1_000, 10_000, 100_000)
QUICK_SIZES = (100, 1_000, 10_000)
ROWS = 50
ROUNDS, EACH = 5, 20
CLOSED_ITEMS, CLOSINGS = 10_000, 7
OF_THE_SHORT = at_most(1.2)
OF_THE_SUM = at_most(5)
# The way through the workflow is longer than that, for a bill of one item too.
OF_THE_SUM_INSTEAD, WHY = at_most(40), "docs/decisions/0004"
# What a close can't do without: sum the lines, store what is payable, mark the bill. One transaction, no HTTP.
SUM_AND_UPDATE = """
    WITH summed AS (
        SELECT bill_id, currency, sum(total) AS subtotal FROM line_items WHERE bill_id = %(bill)s GROUP BY 1, 2),
    stored AS (
        UPDATE bill_subtotals s SET payable = round(summed.subtotal, 2), minor_units = 2,
                                    rounding = round(summed.subtotal, 2) - summed.subtotal
        FROM summed WHERE s.bill_id = summed.bill_id AND s.currency = summed.currency)
    UPDATE bills SET version = version + 1, updated_at = clock_timestamp() WHERE id = %(bill)s
"""


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    sizes = QUICK_SIZES if plan.quick else SIZES
    operator, bills = staff.signed_in(stack), SystemBills(stack)
    requests: dict[int, BillRequests] = {}
    for size in sizes:
        say(f"adding {size:,} items")
        requests[size] = BillRequests(stack, operator, filled(bills, size))
    settle(stack)
    figures = [figure for name, ask in _asked().items() for figure in _compared(stack, plan, requests, name, ask)]
    plan.notes.append(f"the bills had {', '.join(f'{size:,}' for size in sizes)} items, and those added meanwhile")
    return [*figures, *_closing(stack, plan, bills)]


def _asked() -> Mapping[str, Callable[[BillRequests, int], Request]]:
    """By name; given the bill and how many items it had. All of them give as many rows, whatever the size."""
    return {
        "add": lambda bill, _size: bill.add(),
        "staff page": lambda bill, _size: bill.page(),
        "JSON read": lambda bill, _size: bill.read(),
        "list of items, first page": lambda bill, _size: bill.items(limit=ROWS),
        "list of items, in the middle": lambda bill, size: bill.items(limit=ROWS, after=size // 2 - ROWS // 2),
        "older lines on the page, in the middle": lambda bill, size: bill.older(size // 2 + ROWS // 2 + 1),
    }


def _compared(
    stack: Stack,
    plan: Plan,
    requests: Mapping[int, BillRequests],
    name: str,
    ask: Callable[[BillRequests, int], Request],
) -> list[Figure]:
    port = stack.ports["system"]
    ways = {str(size): Asked(port, lambda bill=bill, size=size: ask(bill, size)) for size, bill in requests.items()}
    found = in_turns(ways, rounds=plan.rounds(ROUNDS), each=EACH)
    shortest, *longer = ways
    return [
        Figure(
            f"{name}, {int(size):,} items: p50",
            found.p50(size),
            "ms",
            f"{int(shortest):,} items",
            found.p50(shortest),
            found.ratio(size, shortest),
            OF_THE_SHORT,
        )
        for size in longer
    ]


def _closing(stack: Stack, plan: Plan, bills: SystemBills) -> list[Figure]:
    """Each of them closed in turn with the SQL over the same rows, and with a bill of one item: what of a close is for
    its items, and what is the way through the workflow."""
    closings = range(3 if plan.quick else CLOSINGS)
    long, short = [filled(bills, CLOSED_ITEMS) for _ in closings], [filled(bills, 1) for _ in closings]
    settle(stack)
    of_long, of_short, sql = [], [], []
    with Asker() as asker:

        def close_ms(bill: str) -> float:
            return asker.answer(stack.ports["system"], BillRequests(stack, staff.NOBODY, bill).close()).took_ms

        for bill, other in zip(long, short, strict=True):
            sql.append(_took_ms(stack.database, bill))
            of_long.append(close_ms(bill))
            of_short.append(close_ms(other))
    what = f"close of {CLOSED_ITEMS:,} items: p50"
    return [
        replace(_beside(what, of_long, "SQL sum and update", sql, OF_THE_SUM), instead=OF_THE_SUM_INSTEAD, why=WHY),
        _beside(what, of_long, "close of one item", of_short, OF_THE_SHORT),
    ]


def _beside(what: str, ours: list[float], name: str, theirs: list[float], aim: Aim) -> Figure:
    ratio = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
    return Figure(what, statistics.median(ours), "ms", name, statistics.median(theirs), ratio, aim)


def _took_ms(database: psycopg.Connection, bill: str) -> float:
    """Once to warm up; taken back, so that the bill is as it was."""
    took_ms = 0.0
    for _ in range(2):
        with database.transaction(force_rollback=True):
            began = time.perf_counter()
            database.execute(SUM_AND_UPDATE, {"bill": bill})
            took_ms = (time.perf_counter() - began) * 1000
    return took_ms
