"""1,000 items in one call, and the same rows in one SQL insert."""

import time
import uuid
from decimal import Decimal

from bench.support import load
from bench.support.bills import PlainBills, SystemBills, item
from bench.support.load import Sample
from bench.support.stack import Stack

INSERT = """
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                            created_at, added_in_version)
    SELECT %s, nextval('bench_positions'), r.*, clock_timestamp(), 2
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[]) AS r
"""


def called(stack: Stack, bills: SystemBills, rows: int, calls: int) -> Sample:
    """Through the API, each call under a key, onto a new bill."""
    ask = bills.adding_batches(bills.opened(1)[0], rows)
    return _of_items(load.in_turn(stack.ports["system"], [ask(0) for _ in range(calls)]), rows)


def inserted(stack: Stack, bills: PlainBills, rows: int, inserts: int) -> Sample:
    """No HTTP and no JSON: psycopg, the insert, its commit."""
    bill, result = bills.opened(1)[0], Sample(0.0)
    for _ in range(inserts):
        columns = _columns(rows)
        began = time.perf_counter()
        stack.plain.execute(INSERT, [bill, *columns])
        took_s = time.perf_counter() - began
        result.latencies_ms.append(took_s * 1000)
        result.window_s += took_s
        result.answered += 1
    return _of_items(result, rows)


def _of_items(sample: Sample, rows: int) -> Sample:
    """Counted in items, as everything else here; latencies stay the calls'."""
    sample.answered *= rows
    return sample


def _columns(rows: int) -> tuple[list[object], ...]:
    items = [item(number) for number in range(rows)]
    quantities, prices = ([Decimal(one[name]) for one in items] for name in ("quantity", "unit_price"))
    totals = [quantity * price for quantity, price in zip(quantities, prices, strict=True)]
    texts = ([one[name] for one in items] for name in ("description", "currency"))
    return [uuid.uuid4() for _ in items], *texts, quantities, prices, totals
