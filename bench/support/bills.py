"""Bills to measure on, and the requests that add items to them."""

import http.client
import itertools
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg

from bench.support.load import LOOPBACK, Ask, post
from bench.support.stack import Stack

PERIOD = timedelta(days=30)
CURRENCIES = ("GEL", "USD", "EUR")


def item(number: int) -> dict[str, str]:
    currency = CURRENCIES[number % len(CURRENCIES)]
    return {"description": f"Fee {number:09}", "quantity": "6", "unit_price": "0.6", "currency": currency}


class SystemBills:
    """Opened and filled through the system's own API."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._numbers = itertools.count()
        self._authorization = f"Authorization: Bearer {stack.api_key}\r\n"

    def opened(self, count: int) -> list[str]:
        start = datetime.now(UTC)
        period = {"period_start": start.isoformat(), "period_end": (start + PERIOD).isoformat()}
        return [
            self.call("/api/v1/bills", {"customer_id": f"customer-{number % 50}", **period})["id"]
            for number in range(count)
        ]

    def filled(self, bills: Sequence[str], count: int) -> None:
        for bill in bills:
            self.call(f"/api/v1/bills/{bill}/line-items/batch", self.batch(count))

    def batch(self, count: int) -> dict[str, list[dict[str, str]]]:
        return {"line_items": [item(next(self._numbers)) for _ in range(count)]}

    def call(self, path: str, body: dict[str, object]) -> dict[str, object]:
        connection = http.client.HTTPConnection(LOOPBACK, self._stack.ports["system"], timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._stack.api_key}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {text[:500]!r}")
        return json.loads(text)["data"]

    def adding(self, bills: Sequence[Sequence[str]]) -> Ask:
        """Each client goes round its own bills, every request under a key of its own."""
        rounds = [itertools.cycle(own) for own in bills]

        def ask(client: int) -> bytes:
            path = f"/api/v1/bills/{next(rounds[client])}/line-items"
            headers = f"{self._authorization}Idempotency-Key: {uuid.uuid4()}\r\n"
            return post(path, json.dumps(item(next(self._numbers))).encode(), headers)

        return ask

    def adding_batches(self, bill: str, count: int) -> Ask:
        """The key is the call's."""

        def ask(_client: int) -> bytes:
            headers = f"{self._authorization}Idempotency-Key: {uuid.uuid4()}\r\n"
            return post(f"/api/v1/bills/{bill}/line-items/batch", json.dumps(self.batch(count)).encode(), headers)

        return ask


class PlainBills:
    """Rows in the floor's own database."""

    def __init__(self, stack: Stack) -> None:
        self._database = stack.plain
        self._numbers = itertools.count()

    def opened(self, count: int) -> list[str]:
        return [_insert_bill(self._database) for _ in range(count)]

    def adding(self, bills: Sequence[Sequence[str]]) -> Ask:
        rounds = [itertools.cycle(own) for own in bills]

        def ask(client: int) -> bytes:
            path = f"/bills/{next(rounds[client])}/line-items"
            # The same size on the wire as the system's.
            headers = f"Authorization: Bearer {'x' * 48}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            return post(path, json.dumps(item(next(self._numbers))).encode(), headers)

        return ask


def _insert_bill(database: psycopg.Connection) -> str:
    bill_id, customer_id = uuid.uuid4(), uuid.uuid4()
    database.execute("INSERT INTO customers (id, external_id) VALUES (%s, %s)", [customer_id, str(customer_id)])
    database.execute(
        "INSERT INTO bills (id, customer_id, period_start, period_end) VALUES (%s, %s, now(), now() + %s)",
        [bill_id, customer_id, PERIOD],
    )
    return str(bill_id)
