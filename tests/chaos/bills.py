"""The bills of a run, which the clients share: opened by whoever needs one first."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.clock import rfc3339
from tests.chaos.caller import Caller
from tests.chaos.decisions import LONGEST_REST_S, Life, Plan

PERIOD = timedelta(days=30)


class Bills:
    """Safe for threads. A bill whose end passed before anybody got through to open it stays unopened."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._lock = threading.Lock()
        self._bodies: dict[int, dict[str, Any]] = {}
        self._ids: dict[int, str | None] = {}
        self._ends: dict[int, datetime] = {}
        self._versions: dict[int, int] = {}

    def id_of(self, bill: int, caller: Caller) -> str | None:
        """Several may ask to open it at once: they all send the same, under the same key, and get the same bill."""
        with self._lock:
            if bill in self._ids:
                return self._ids[bill]
            body = self._bodies.setdefault(bill, self._new_body(bill))
        key = f"bill-{bill}"
        answer = caller.decided("/bills", body, key, f"{key} by {caller.name}", do="open", bill=bill)
        with self._lock:
            self._ids.setdefault(bill, answer.content["data"]["id"] if answer.ok else None)
            return self._ids[bill]

    def known(self, fraction: float) -> tuple[int, str] | None:
        """One of those that were opened last."""
        with self._lock:
            opened = [(bill, id_) for bill, id_ in list(self._ids.items())[-12:] if id_ is not None]
        return opened[int(fraction * len(opened))] if opened else None

    def later_end(self, bill: int, seconds: float) -> str:
        """Some seconds later; of a bill that ends by itself so that it still does so within the run."""
        more, now = timedelta(seconds=seconds), datetime.now(UTC)
        with self._lock:
            end = self._ends[bill] + more
            if self.plan.life(bill) is Life.ENDS:
                end = min(max(end, now + more), now + timedelta(seconds=LONGEST_REST_S))
            self._ends[bill] = end
            return rfc3339(end)

    def saw(self, bill: int, version: int) -> None:
        with self._lock:
            self._versions[bill] = version

    def version(self, bill: int) -> int:
        return self._versions.get(bill, 1)

    @property
    def ids(self) -> dict[int, str]:
        with self._lock:
            return {bill: id_ for bill, id_ in self._ids.items() if id_ is not None}

    def _new_body(self, bill: int) -> dict[str, Any]:
        now = datetime.now(UTC)
        ends = self.plan.life(bill) is Life.ENDS
        self._ends[bill] = now + (timedelta(seconds=self.plan.lasts_s(bill)) if ends else PERIOD)
        return {
            "customer_id": f"customer-{self.plan.seed}-{bill % 50}",
            "period_start": rfc3339(now - timedelta(days=1)),
            "period_end": rfc3339(self._ends[bill]),
        }
