"""Clients that go on adding to bills through their end, and what they were answered."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from bench.support.bills import item
from bench.support.load import LOOPBACK
from bench.support.stack import Stack

CLIENTS = 4
# What is answered to an item that came too late.
TOO_LATE = {"period_ended", "bill_closed"}


class LastMoment:
    """`accepted`: instants at which items were created, by bill, as answered; `other` what should not have been."""

    def __init__(self, stack: Stack, bills: Sequence[str]) -> None:
        self._stack = stack
        self._bills = bills
        self._lock = threading.Lock()
        self.accepted: dict[str, list[datetime]] = {bill: [] for bill in bills}
        self.too_late = 0
        self.other: Counter[str] = Counter()

    def add_until(self, deadline: float) -> None:
        """Until that instant of the monotonic clock."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            for future in [pool.submit(self._add_until, deadline, number) for number in range(CLIENTS)]:
                future.result()

    def _add_until(self, deadline: float, number: int) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self._stack.ports["system"], timeout=60)
        headers = {"Authorization": f"Bearer {self._stack.api_key}", "Content-Type": "application/json"}
        bills = itertools.cycle(self._bills[number::CLIENTS])
        try:
            while time.monotonic() < deadline:
                bill = next(bills)
                path = f"/api/v1/bills/{bill}/line-items"
                connection.request("POST", path, json.dumps(item(number)), headers)
                answer = connection.getresponse()
                self._note(bill, answer.status, json.loads(answer.read()))
        finally:
            connection.close()

    def _note(self, bill: str, status: int, said: dict[str, object]) -> None:
        with self._lock:
            if status == http.HTTPStatus.OK:
                created_at = said["line_item"]["created_at"]  # type: ignore[index]
                self.accepted[bill].append(datetime.fromisoformat(created_at))
            elif said.get("details", {}).get("reason") in TOO_LATE:  # type: ignore[attr-defined]
                self.too_late += 1
            else:
                self.other[f"{status} {said}"[:200]] += 1
