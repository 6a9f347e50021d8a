"""Bills of many items, and what is asked of them."""

from __future__ import annotations

import json
import uuid

from flask import Flask

from bench.support.bills import SystemBills, item
from bench.support.stack import Stack
from bench.support.staff import Staff
from bench.support.turns import Request
from webapp.api import cursors

MOST_A_CALL = 1_000


def filled(bills: SystemBills, items: int) -> str:
    """A new bill with so many items."""
    bill = bills.opened(1)[0]
    for first in range(0, items, MOST_A_CALL):
        bills.filled([bill], min(MOST_A_CALL, items - first))
    return bill


class BillRequests:
    """To the API under the stack's key, and as `staff` on the console."""

    def __init__(self, stack: Stack, staff: Staff, bill: str) -> None:
        self._stack, self._staff, self._bill = stack, staff, bill
        self._api = f"/api/v1/bills/{bill}"
        self._key = {"Authorization": f"Bearer {stack.api_key}"}
        self._cursors: dict[int, str] = {}

    def read(self) -> Request:
        return Request(self._api, self._key)

    def page(self, **arguments: int) -> Request:
        return self._staff.get(f"/bills/{self._bill}{_query(arguments)}")

    def items(self, *, limit: int, after: int = 0) -> Request:
        cursor = f"&cursor={self._cursor(after)}" if after else ""
        return Request(f"{self._api}/line-items?limit={limit}{cursor}", self._key)

    def older(self, before: int) -> Request:
        """What "Older lines" brings."""
        return self._staff.get(f"/bills/{self._bill}/line-items?before={before}", htmx=True)

    def add(self) -> Request:
        headers = {**self._key, "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        return Request(f"{self._api}/line-items", headers, "POST", json.dumps(item(1)).encode())

    def add_on_page(self, shown: dict[str, str]) -> Request:
        """`shown`: what the open page says it shows."""
        values = {**item(1), **shown, "idempotency_key": str(uuid.uuid4())}
        return self._staff.post(f"/bills/{self._bill}/line-items", values)

    def close(self) -> Request:
        return Request(f"{self._api}/close", self._key, "POST")

    def _cursor(self, after: int) -> str:
        """As the API signs it: paging there would take hundreds of calls."""
        if after not in self._cursors:
            app = Flask("cursor")
            app.secret_key = self._stack.environment["SECRET_KEY"]
            with app.app_context():
                self._cursors[after] = cursors.sign(after, "line-items", self._bill)
        return self._cursors[after]


def _query(arguments: dict[str, int]) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in arguments.items()) if arguments else ""
