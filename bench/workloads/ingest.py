"""1,000 items in a call, onto one bill and onto four at once; beside it, the same rows in one SQL insert."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg

from bench.support import load
from bench.support.bills import PlainBills, SystemBills, item
from bench.support.figures import Figure, Plan, at_most, no_less_than
from bench.support.load import Sample
from bench.support.measures import Way, compared, in_turns, p50, per_second
from bench.support.settled import settle
from bench.support.stack import Stack

TITLE = "3: Ingest, 1,000 items a call"

ROWS = 1_000
BILLS = (1, 4)
WITHIN = at_most(4)
FEWEST_PER_S = no_less_than(20_000)
# One caller waits for each call before the next: no two cores work for it at a time.
FEWEST_OF_ONE_CALLER, WHY = no_less_than(12_000), "docs/decisions/0013"
INSERT = """
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                            created_at, added_in_version)
    SELECT %s, nextval('bench_positions'), r.*, clock_timestamp(), 2
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[]) AS r
"""


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    found: list[Figure] = []
    for bills in BILLS:
        ours, insert = _called(stack, plan, bills), _inserted(stack, plan, bills)
        in_turns([ours, insert], plan.rounds(8))
        name = "one bill" if bills == 1 else f"{bills} bills at once"
        instead = FEWEST_OF_ONE_CALLER if bills == 1 else None
        found += [
            compared(f"{name}: a call", ours, insert, p50, "ms", WITHIN),
            compared(
                f"{name}: throughput", ours, insert, per_second, "items/s", FEWEST_PER_S, instead=instead, why=WHY
            ),
        ]
    return found


def _called(stack: Stack, plan: Plan, count: int) -> Way:
    """Through the API: each bill is new, has a client of its own, and every call a key."""
    bills = SystemBills(stack)

    def run() -> Sample:
        asking = [bills.adding_batches(bill, ROWS) for bill in bills.opened(count)]
        requests = [[ask(0) for _ in range(_calls(plan))] for ask in asking]
        sample = _together([lambda own=own: load.in_turn(stack.ports["system"], own) for own in requests])
        settle(stack)
        return sample

    return Way("system", run)


def _inserted(stack: Stack, plan: Plan, count: int) -> Way:
    """No HTTP and no JSON: psycopg, the insert, its commit, on a connection for each bill."""
    plain = PlainBills(stack)
    assert stack.plain
    connections = [stack.connect(stack.urls["plain"]) for _ in range(count)]

    def run() -> Sample:
        bills = plain.opened(count)
        rows = [[[bill, *_columns()] for _ in range(_calls(plan))] for bill in bills]
        pairs = zip(connections, rows, strict=True)
        return _together([lambda to=to, own=own: _insert(to, own) for to, own in pairs])

    return Way("one SQL insert", run)


def _calls(plan: Plan) -> int:
    return 4 if plan.quick else 8


def _together(ways: list[Callable[[], Sample]]) -> Sample:
    """All at the same time; counted in items, while latencies stay the calls'."""
    whole, start = Sample(0.0), threading.Barrier(len(ways))

    def one(way: Callable[[], Sample]) -> tuple[Sample, float, float]:
        start.wait()
        began = time.perf_counter()
        return way(), began, time.perf_counter()

    with ThreadPoolExecutor(len(ways)) as threads:
        done = list(threads.map(one, ways))
    for sample, _, _ in done:
        whole.latencies_ms += sample.latencies_ms
        whole.answered += sample.answered * ROWS
        whole.refused += sample.refused
        whole.first_refusal = whole.first_refusal or sample.first_refusal
    whole.window_s = max(ended for _, _, ended in done) - min(began for _, began, _ in done)
    return whole


def _insert(connection: psycopg.Connection, rows: list[list[object]]) -> Sample:
    sample = Sample(0.0)
    for parameters in rows:
        began = time.perf_counter()
        connection.execute(INSERT, parameters)
        sample.latencies_ms.append((time.perf_counter() - began) * 1000)
        sample.answered += 1
    return sample


def _columns() -> list[object]:
    items = [item(number) for number in range(ROWS)]
    quantities, prices = ([Decimal(one[name]) for one in items] for name in ("quantity", "unit_price"))
    totals = [quantity * price for quantity, price in zip(quantities, prices, strict=True)]
    texts = ([one[name] for one in items] for name in ("description", "currency"))
    return [[uuid.uuid4() for _ in items], *texts, quantities, prices, totals]
