"""1,000 items in one call, and the same rows in one SQL insert."""

import time
import uuid
from decimal import Decimal

from support import load
from support.bills import PlainBills, SystemBills, item
from support.load import Sample
from support.stack import Stack

INSERT = """
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                            created_at, added_in_version)
    SELECT %s, nextval('bench_positions'), r.*, clock_timestamp(), 2
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[]) AS r
"""
LONGEST_S = 60.0


class BatchCalls:
    """Through the API, one call after the other, each under a key."""

    def __init__(self, stack: Stack, bills: SystemBills) -> None:
        self._port = stack.ports["system"]
        self._bills = bills

    def measure(self, rows: int, calls: int) -> Sample:
        ask = self._bills.adding_batches(self._bills.opened(1)[0], rows)
        return _counted(calls, rows, lambda: self._call(ask))

    def _call(self, ask: load.Ask) -> Sample:
        # No window: exactly one request, the connection included.
        return load.run(self._port, 1, ask, seconds=0.0, warm_up_s=0.0)


class PlainInserts:
    """No HTTP, no JSON: psycopg, the insert, the commit."""

    def __init__(self, stack: Stack, bills: PlainBills) -> None:
        self._database = stack.plain
        self._bills = bills

    def measure(self, rows: int, calls: int) -> Sample:
        bill = self._bills.opened(1)[0]
        return _counted(calls, rows, lambda: self._insert(bill, rows))

    def _insert(self, bill: str, rows: int) -> Sample:
        items = [item(number) for number in range(rows)]
        quantities = [Decimal(one["quantity"]) for one in items]
        prices = [Decimal(one["unit_price"]) for one in items]
        columns = (
            [uuid.uuid4() for _ in items],
            [one["description"] for one in items],
            [one["currency"] for one in items],
            quantities,
            prices,
            [quantity * price for quantity, price in zip(quantities, prices, strict=True)],
        )
        began = time.perf_counter()
        self._database.execute(INSERT, [bill, *columns])
        return Sample(0.0, [(time.perf_counter() - began) * 1000])
