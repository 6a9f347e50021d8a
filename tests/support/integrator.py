"""Somebody who calls the JSON API over HTTP, keeps what was acknowledged, and repeats what was not."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import requests

from billing.clock import rfc3339

PATH = "/api/v1"
HUNG = {"description": "hung", "quantity": 6, "unit_price": 0.6, "currency": "GEL"}
ANSWER_WITHIN_S = 20


class Integrator:
    """May be used by many threads: each has a connection of its own. Every call has an idempotency key, or None.

    `acknowledged` are the line items of all 2xx answers, by bill.
    """

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url + PATH
        self.headers = {"Authorization": f"Bearer {api_key}"}
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self.acknowledged: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def get(self, path: str) -> requests.Response:
        return self._session.get(self.url + path, timeout=ANSWER_WITHIN_S)

    def post(self, path: str, body: Any = None, key: str | None = None, **headers: str) -> requests.Response:
        """Header names are written with underscores: Prefer="respond-async"."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            given["Idempotency-Key"] = key
        answer = self._session.post(self.url + path, json=body, headers=given, timeout=ANSWER_WITHIN_S)
        self._keep(answer)
        return answer

    def post_until_acknowledged(
        self, path: str, body: Any, key: str, *, within_s: float = 60
    ) -> tuple[requests.Response, list[requests.Response | None]]:
        """Repeats with one key until the answer is 2xx; also what came before that, None where nothing came."""
        deadline = time.monotonic() + within_s
        failures: list[requests.Response | None] = []
        while True:
            answer = self._post_or_nothing(path, body, key)
            if answer is not None and answer.ok:
                return answer, failures
            failures.append(answer)
            assert time.monotonic() < deadline, answer.text if answer is not None else "no answer"
            time.sleep(0.1)

    def opened(self, *, ends_in: timedelta = timedelta(days=30), customer_id: str | None = None) -> str:
        """A new bill's id."""
        answer = self.post("/bills", bill_body(ends_in=ends_in, customer_id=customer_id), str(uuid4()))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["id"])

    def add(self, bill_id: str, key: str | None = None, **values: Any) -> requests.Response:
        return self.post(f"/bills/{bill_id}/line-items", {**HUNG, **values}, key or str(uuid4()))

    def added(self, bill_id: str, key: str | None = None, **values: Any) -> dict[str, Any]:
        """A new line item."""
        answer = self.add(bill_id, key, **values)
        assert answer.status_code == 200, answer.text
        item: dict[str, Any] = answer.json()["line_item"]
        return item

    def asked_to_close(self, bill_id: str) -> requests.Response:
        return self.post(f"/bills/{bill_id}/close", None, str(uuid4()))

    def bill(self, bill_id: str, query: str = "") -> dict[str, Any]:
        answer = self.get(f"/bills/{bill_id}{query}")
        assert answer.status_code == 200, answer.text
        bill: dict[str, Any] = answer.json()["data"]
        return bill

    def ends_in(self, bill_id: str, moment: timedelta) -> datetime:
        """Moves the bill's end to so soon, and says when that is. Where a busy machine took longer, once more."""
        for _ in range(20):
            end = datetime.now(UTC) + moment
            moved = self.post(f"/bills/{bill_id}/period", {"period_end": rfc3339(end)})
            if moved.status_code == 200:
                return datetime.fromisoformat(moved.json()["data"]["period_end"])
            assert moved.json()["details"]["field"] == "period_end", moved.text
        raise AssertionError(f"the machine takes longer than {moment} for a call")

    def bill_when(self, bill_id: str, status: str, *, within_s: float = 60) -> dict[str, Any]:
        """The bill as soon as it has this status."""
        deadline = time.monotonic() + within_s
        while (bill := self.bill(bill_id))["status"] != status:
            assert time.monotonic() < deadline, f"after {within_s} s the bill is {bill['status']}"
            time.sleep(0.05)
        return bill

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.trust_env = False
            session.headers.update(self.headers)
            with self._lock:
                self._sessions.append(session)
            self._local.session = session
        session = self._local.session
        assert isinstance(session, requests.Session)
        return session

    def _post_or_nothing(self, path: str, body: Any, key: str) -> requests.Response | None:
        try:
            return self.post(path, body, key)
        except requests.RequestException:
            return None

    def _keep(self, answer: requests.Response) -> None:
        content = answer.json() if answer.status_code == 200 else {}
        if "line_item" in content:
            with self._lock:
                self.acknowledged[content["line_item"]["bill_id"]].append(content["line_item"])


def bill_body(*, ends_in: timedelta = timedelta(days=30), customer_id: str | None = None) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "customer_id": customer_id or f"customer-{uuid4().hex[:12]}",
        "period_start": rfc3339(now - timedelta(days=1)),
        "period_end": rfc3339(now + ends_in),
    }
