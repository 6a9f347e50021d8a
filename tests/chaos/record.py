"""What was asked and answered, kept outside the system: a line of JSON for each, written before anything goes on."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self


class Record:
    """Safe for threads. Times are seconds of one clock, which no adjustment of the machine's time moves."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._lines = file.open("a", encoding="utf-8")
        self._last_request = 0
        self._good_from = float("inf")
        self._good = threading.Event()
        self.first_good = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def asked(self, **what: Any) -> tuple[int, float]:
        """The number of the attempt, and when it was made."""
        with self._lock:
            self._last_request += 1
            number, now = self._last_request, time.monotonic()
            self._write({"asked": number, "at": now, **what})
        return number, now

    def answered(self, number: int, asked_at: float, **what: Any) -> float:
        with self._lock:
            now = time.monotonic()
            self._write({"answered": number, "at": now, **what})
            if 200 <= (what.get("status") or 0) < 300 and asked_at >= self._good_from:
                self.first_good, self._good_from = now, float("inf")
                self._good.set()
        return now

    def watch(self, since: float) -> None:
        """From now on the first good answer to what was asked later than `since` is awaited."""
        with self._lock:
            self._good_from = since
            self._good.clear()

    def wait_for_good(self, within_s: float) -> bool:
        return self._good.wait(within_s)

    def note(self, **what: Any) -> None:
        with self._lock:
            self._write({"noted": True, "at": time.monotonic(), **what})

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._lines.flush()


@dataclass(slots=True)
class Attempt:
    asked_at: float
    answered_at: float | None = None
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int | None:
        return self.answer.get("status")

    @property
    def was_cut_off(self) -> bool:
        """Nothing was answered, or that nothing can be; not since the caller hung up, nor since nobody was there."""
        if self.status is None:
            return self.answer.get("failed") not in {"HungUp", "ConnectionRefusedError"}
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(slots=True)
class Request:
    """One wish of one client, with all attempts at it. `what` is the line of the first attempt."""

    what: dict[str, Any]
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def is_decided(self) -> bool:
        return bool(self.last.answer.get("definite"))

    @property
    def succeeded(self) -> bool:
        return self.is_decided and self.last.status in {200, 202}

    @property
    def reason(self) -> str:
        return str(self.last.answer.get("reason", ""))


def requests_in(file: Path) -> dict[str, list[Request]]:
    """By bill, in the order in which they were first asked; those without a bill stand under ""."""
    found: dict[str, Request] = {}
    attempts: dict[int, Attempt] = {}
    for line in _lines(file):
        if "asked" in line:
            request = found.setdefault(line["wish"], Request(line))
            request.attempts.append(attempt := Attempt(line["at"]))
            attempts[line["asked"]] = attempt
        elif "answered" in line:
            attempt = attempts.pop(line["answered"])
            attempt.answered_at, attempt.answer = line["at"], line
    by_bill: dict[str, list[Request]] = defaultdict(list)
    for request in found.values():
        by_bill[request.what.get("bill_id", "")].append(request)
    return by_bill


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
