"""The clients: each carries out its decisions one after the other, and repeats what it got no answer to."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.chaos import decisions
from tests.chaos.bills import Bills
from tests.chaos.caller import Answer, Caller, Undecided
from tests.chaos.decisions import Decision, Do
from tests.chaos.gate import Gate

KEPT_REQUESTS = 300
READ_EVERY_S = 0.08
DECIDED_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Done:
    """A request that succeeded, to be repeated."""

    wish: str
    path: str
    body: Any
    key: str
    bill: int
    bill_id: str
    headers: dict[str, str]
    items: tuple[str, ...]


class Client:
    def __init__(self, number: int, bills: Bills, caller: Caller, gate: Gate, stop: threading.Event) -> None:
        self.name = f"client {number}"
        self._number = number
        self._bills = bills
        self._caller = caller
        self._gate = gate
        self._stop = stop
        self._done: deque[Done] = deque(maxlen=KEPT_REQUESTS)
        # Of those that were added: what can be taken back.
        self._added: deque[tuple[int, str, str]] = deque(maxlen=KEPT_REQUESTS)
        self._stored: list[tuple[Decision, str, str]] = []
        self.failure: BaseException | None = None
        self.steps: Counter[str] = Counter()

    def run(self) -> None:
        try:
            for decision in decisions.decisions(self._bills.plan, self._number):
                if decision.progress > 0:
                    self._gate.wait(decision.progress, self._stop)
                if self._stop.is_set():
                    return
                self._carry_out(decision)
        except BaseException as failure:
            self.failure = failure
        finally:
            self._gate.leave()
            self._caller.close()

    def learn_what_became_of_stored(self) -> None:
        """Of what was asked with `respond-async`: afterwards, when everything runs."""
        for decision, bill_id, request_id in self._stored:
            deadline = time.monotonic() + DECIDED_WITHIN_S
            path = f"/bills/{bill_id}/line-item-requests/{request_id}"
            wish = f"{self._number}/{decision.step}/outcome"
            while (state := self._state_of(path, wish, decision, bill_id)) in {None, "pending"}:
                if time.monotonic() > deadline or self._stop.wait(0.1):
                    raise Undecided(f"{wish}: {path} is {state}")
        self._caller.close()

    def _state_of(self, path: str, wish: str, decision: Decision, bill_id: str) -> str | None:
        asked_by = self._wish(decision)
        answer = self._caller.get(path, wish, do="outcome", of=asked_by, bill=decision.bill, bill_id=bill_id)
        return answer.content["data"]["state"] if answer is not None and answer.ok else None

    def _carry_out(self, decision: Decision) -> None:
        self.steps[decision.do] += 1
        bill_id = self._bills.id_of(decision.bill, self._caller)
        if bill_id is not None:
            _WAYS[decision.do](self, decision, bill_id)

    def _read(self, decision: Decision, bill_id: str) -> None:
        about = {"do": "read", "bill": decision.bill, "bill_id": bill_id}
        answer = self._caller.get(f"/bills/{bill_id}", self._wish(decision), **about)
        self._note(decision.bill, answer)

    def _add(self, decision: Decision, bill_id: str) -> None:
        row = {name: value for name, value in decision.rows[0].items() if name != "key"}
        self._post(decision, bill_id, "/line-items", row)

    def _batch(self, decision: Decision, bill_id: str) -> None:
        self._post(decision, bill_id, "/line-items/batch", {"line_items": list(decision.rows)})

    def _ask(self, decision: Decision, bill_id: str) -> None:
        row = {name: value for name, value in decision.rows[0].items() if name != "key"}
        answer = self._post(decision, bill_id, "/line-items", row, headers={"Prefer": "respond-async"})
        if answer.status == 202:
            self._stored.append((decision, bill_id, answer.content["data"]["id"]))

    def _reverse(self, decision: Decision, bill_id: str) -> None:
        """Mostly of the bill that was decided on; what there is nothing to take back of is left."""
        known = [added for added in self._added if added[1] == bill_id] or list(self._added)
        if known:
            bill, of_bill, item = known[int(decision.pick * len(known))]
            path = f"/line-items/{item}/reversal"
            self._post(decision, of_bill, path, {"reason": f"wrong {decision.step}"}, bill=bill)

    def _extend(self, decision: Decision, bill_id: str) -> None:
        body = {"period_end": self._bills.later_end(decision.bill, decision.seconds)}
        self._post(decision, bill_id, "/period", {**body, **self._guard(decision)})

    def _close(self, decision: Decision, bill_id: str) -> None:
        self._post(decision, bill_id, "/close", self._guard(decision) or None)
        if decision.guarded:
            # Whatever became of the guarded one: this bill is to be closed.
            self._post(decision, bill_id, "/close", None, again="-again")

    def _repeat(self, decision: Decision, _: str) -> None:
        self._again(decision, lambda done: done.body)

    def _repeat_otherwise(self, decision: Decision, _: str) -> None:
        self._again(decision, changed)

    def _again(self, decision: Decision, body_of: Callable[[Done], Any]) -> None:
        if not self._done:
            return
        done = self._done[int(decision.pick * len(self._done))]
        about: dict[str, Any] = {"do": str(decision.do), "of": done.wish, "bill": done.bill, "bill_id": done.bill_id}
        wish = self._wish(decision)
        self._caller.decided(done.path, body_of(done), done.key, wish, headers=done.headers, **about)

    def _guard(self, decision: Decision) -> dict[str, Any]:
        return {"expected_version": self._bills.version(decision.bill)} if decision.guarded else {}

    def _post(
        self,
        decision: Decision,
        bill_id: str,
        path: str,
        body: Any,
        *,
        bill: int | None = None,
        headers: dict[str, str] | None = None,
        again: str = "",
    ) -> Answer:
        wish = self._wish(decision) + again
        of_bill = decision.bill if bill is None else bill
        key, whole, given = f"{self._number}-{decision.step}{again}", f"/bills/{bill_id}{path}", headers or {}
        about = {"do": str(decision.do), "bill": of_bill, "bill_id": bill_id}
        answer = self._caller.decided(whole, body, key, wish, hangs_up=decision.hangs_up, headers=given, **about)
        self._note(of_bill, answer)
        if answer.ok:
            items = _items_of(answer)
            self._done.append(Done(wish, whole, body, key, of_bill, bill_id, given, items))
            if decision.do in {Do.ADD, Do.BATCH}:
                self._added.extend((of_bill, bill_id, item) for item in items)
        return answer

    def _note(self, bill: int, answer: Answer | None) -> None:
        if answer is not None and answer.ok and "version" in answer.content["data"]:
            self._bills.saw(bill, answer.content["data"]["version"])

    def _wish(self, decision: Decision) -> str:
        return f"{self._number}/{decision.step}"


class Reader:
    """Looks at bills in use all the time, and asks for nothing."""

    def __init__(self, number: int, bills: Bills, caller: Caller, stop: threading.Event) -> None:
        self.name = f"reader {number}"
        self._number = number
        self._bills = bills
        self._caller = caller
        self._stop = stop
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            for step, fraction in enumerate(decisions.reads(self._bills.plan, self._number)):
                if self._stop.wait(READ_EVERY_S):
                    return
                found = self._bills.known(fraction)
                if found is not None:
                    about = {"do": "read", "bill": found[0], "bill_id": found[1]}
                    self._caller.get(f"/bills/{found[1]}", f"reader {self._number}/{step}", **about)
        except BaseException as failure:
            self.failure = failure
        finally:
            self._caller.close()


def changed(done: Done) -> Any:
    """The same request with another value in it."""
    body = copy.deepcopy(done.body) if done.body is not None else {}
    if "line_items" in body:
        body["line_items"][-1]["quantity"] = "777777"
    elif "quantity" in body:
        body["quantity"] = "777777"
    elif "reason" in body:
        body["reason"] += " indeed"
    elif "period_end" in body:
        body["period_end"] = "2999-01-01T00:00:00Z"
    else:
        body["expected_version"] = 987_654_321
    return body


def _items_of(answer: Answer) -> tuple[str, ...]:
    content = answer.content
    rows = content.get("outcomes") or [content]
    return tuple(row["line_item"]["id"] for row in rows if "line_item" in row)


_WAYS: dict[Do, Callable[[Client, Decision, str], None]] = {
    Do.ADD: Client._add,
    Do.BATCH: Client._batch,
    Do.ASK: Client._ask,
    Do.REVERSE: Client._reverse,
    Do.EXTEND: Client._extend,
    Do.CLOSE: Client._close,
    Do.READ: Client._read,
    Do.REPEAT: Client._repeat,
    Do.REPEAT_OTHERWISE: Client._repeat_otherwise,
}
