"""One client's way to the API: raw HTTP on one connection, each wish repeated with its key until it is decided."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from tests.chaos.record import Record

PATH = "/api/v1"
# Shorter than the longest answers under a dead database: some are left unheard.
ANSWER_WITHIN_S = 6.0
DECIDED_WITHIN_S = 120.0
AGAIN_AFTER_S = 0.1
# Answers that promise nothing: the same request is to be repeated.
UNDECIDED = {("aborted", "idempotency_in_progress"), ("unavailable", "database_unavailable")}


class Undecided(Exception):
    """No definite answer within two minutes."""


class HungUp(ConnectionError):
    """The caller did, of its own accord: nothing was interrupted."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    replayed: bool
    content: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status in {200, 202}

    @property
    def refusal(self) -> tuple[str, str]:
        details = self.content.get("details")
        reason = details.get("reason", "") if isinstance(details, dict) else ""
        return str(self.content.get("code", "")), str(reason)

    @property
    def is_definite(self) -> bool:
        """A 500 is none, but it is a difference: views.py says so."""
        return self.ok or (self.status < 500 and self.refusal not in UNDECIDED)


class Caller:
    """Used by one thread."""

    def __init__(self, name: str, port: int, api_key: str, record: Record, stop: threading.Event) -> None:
        self.name = name
        self._port = port
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._record = record
        self._stop = stop
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, wish: str, **about: Any) -> Answer | None:
        """One attempt: a read that was not answered is not repeated."""
        return self._attempt("GET", path, None, "", {"wish": wish, **about})

    def decided(
        self, path: str, body: Any, key: str, wish: str, *, hangs_up: bool = False, headers: Any = None, **about: Any
    ) -> Answer:
        """Raises Undecided."""
        deadline = time.monotonic() + DECIDED_WITHIN_S
        about = {"wish": wish, **about}
        while True:
            answer = self._attempt("POST", path, body, key, about, hangs_up=hangs_up, headers=headers or {})
            hangs_up = False
            if answer is not None and answer.is_definite:
                return answer
            if time.monotonic() > deadline or self._stop.wait(AGAIN_AFTER_S):
                raise Undecided(f"{wish}: {answer}")

    def _attempt(
        self,
        method: str,
        path: str,
        body: Any,
        key: str,
        about: dict[str, Any],
        *,
        hangs_up: bool = False,
        headers: Any = None,
    ) -> Answer | None:
        number, at = self._record.asked(
            client=self.name, method=method, path=path, body=body, key=key, headers=headers or {}, **about
        )
        try:
            answer = self._exchanged(method, path, body, {**(headers or {}), "Idempotency-Key": key}, hangs_up=hangs_up)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            self._record.answered(number, at, status=None, failed=type(error).__name__)
            return None
        self._record.answered(number, at, **told(answer))
        return answer

    def _exchanged(self, method: str, path: str, body: Any, headers: dict[str, str], *, hangs_up: bool) -> Answer:
        connection = self._connected()
        given = {**self._headers, **{name: value for name, value in headers.items() if value}}
        connection.request(method, PATH + path, None if body is None else json.dumps(body), given)
        if hangs_up:
            # The server may be anywhere in its work.
            time.sleep(len(path) % 7 * 0.002)
            raise HungUp
        answer = connection.getresponse()
        content = json.loads(answer.read())
        return Answer(answer.status, answer.headers.get("Idempotent-Replayed") == "true", content)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN_S)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection


def told(answer: Answer) -> dict[str, Any]:
    """What of an answer is kept: everything that can be compared, and no more."""
    kept: dict[str, Any] = {"status": answer.status, "definite": answer.is_definite, "replayed": answer.replayed}
    if not answer.ok:
        code, reason = answer.refusal
        return {**kept, "code": code, "reason": reason}
    content = answer.content
    bill = content.get("data")
    if isinstance(bill, dict) and "item_count" in bill:
        kept["bill"] = shown(bill)
    elif isinstance(bill, dict) and "state" in bill:
        kept["request"] = {name: bill.get(name) for name in ("id", "state", "line_item_id")}
        kept["request"]["reason"] = bill.get("error", {}).get("details", {}).get("reason")
    if "line_item" in content:
        kept["items"] = [item_told(content["line_item"])]
    if "outcomes" in content:
        kept["rows"] = [row["outcome"] for row in content["outcomes"]]
        kept["items"] = [item_told(row["line_item"]) for row in content["outcomes"] if "line_item" in row]
        kept["row_reasons"] = [row["error"]["details"]["reason"] for row in content["outcomes"] if "error" in row]
    return kept


def shown(bill: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "status", "version", "item_count", "period_end", "number", "effective_at", "close_reason")
    kept = {name: bill[name] for name in names if name in bill}
    payable = {code: one["amount"] for code, one in bill["payable"].items()}
    return {**kept, "sums": bill["total"]["by_currency"], "payable": payable}


def item_told(item: dict[str, Any]) -> list[Any]:
    """Its id, position, description, currency and total."""
    return [item["id"], item["position"], item["description"], item["currency"], item["total"]]
