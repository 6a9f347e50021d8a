"""Clients that add to bills of their own, come what may: how long each of them was without a good answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bench.support.bills import item
from bench.support.load import LOOPBACK

CLIENTS = 8
PATIENCE_S = 10.0
# Between attempts at a server that isn't there.
BREATH_S = 0.01


class Insistent:
    """While the `with` lasts; `opened` makes a bill for a client."""

    def __init__(self, port: int, api_key: str, opened: Callable[[], str]) -> None:
        self._port = port
        self._api_key = api_key
        self._stop = threading.Event()
        self._good: list[list[tuple[float, float]]] = [[] for _ in range(CLIENTS)]
        bills = [opened() for _ in range(CLIENTS)]
        self._threads = [threading.Thread(target=self._insist, args=one, daemon=True) for one in enumerate(bills)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def all_answered_after(self, instant: float, within_s: float) -> float:
        """Seconds from that instant of the monotonic clock until every client had a good answer to something that it
        asked since."""
        while time.monotonic() < instant + within_s:
            firsts = [next((done for asked, done in good if asked > instant), None) for good in self._good]
            if all(firsts):
                return max(first for first in firsts if first) - instant
            time.sleep(0.05)
        raise RuntimeError(f"clients had no good answer within {within_s} s")

    def _insist(self, number: int, bill: str) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"}
        while not self._stop.is_set():
            asked = time.monotonic()
            try:
                path = f"/api/v1/bills/{bill}/line-items"
                connection.request("POST", path, json.dumps(item(number)), {**headers, "Idempotency-Key": _key()})
                answer = connection.getresponse()
                answer.read()
                if answer.status == http.HTTPStatus.OK:
                    self._good[number].append((asked, time.monotonic()))
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(BREATH_S)
        connection.close()


def _key() -> str:
    return str(uuid.uuid4())
