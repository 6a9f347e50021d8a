"""Bills of the seed's way: a row to belong to, and a workflow that decides."""

import itertools
import json
import time

from bench.support import load
from bench.support.bills import PlainBills, item
from bench.support.load import Ask, post
from bench.support.stack import Stack

STORED_WITHIN_S = 120


class SeedBills:
    def __init__(self, stack: Stack, bills: PlainBills) -> None:
        self._stack = stack
        self._bills = bills
        self._bill = ""

    def measure(self, clients: int, seconds: float) -> load.Sample:
        """On one new bill. Answers come before rows are stored: items a second are those stored, until the last is."""
        self._bill = self._bills.opened(1)[0]
        opening = load.in_turn(self._stack.ports["seed"], [post(f"/bills/{self._bill}/open", b"{}")])
        if opening.refused:
            raise RuntimeError(f"the seed's way doesn't work:\n{self._stack.log('seed')[-3000:]}")
        began = time.perf_counter()
        sample = load.run(self._stack.ports["seed"], clients, self._adding(), seconds, warm_up_s=0.0)
        self._wait_until_stored(len(sample.latencies_ms))
        sample.window_s, sample.answered = time.perf_counter() - began, len(sample.latencies_ms)
        return sample

    def _adding(self) -> Ask:
        numbers = itertools.count()

        def ask(_client: int) -> bytes:
            return post(f"/bills/{self._bill}/line-items", json.dumps(item(next(numbers))).encode())

        return ask

    def _wait_until_stored(self, promised: int) -> None:
        deadline = time.monotonic() + STORED_WITHIN_S
        count = "SELECT count(*) FROM line_items WHERE bill_id = %s"
        while self._stack.plain.execute(count, [self._bill]).fetchone() < (promised,):
            if time.monotonic() > deadline:
                raise RuntimeError(f"rows were not stored after {STORED_WITHIN_S} s")
            time.sleep(0.1)
