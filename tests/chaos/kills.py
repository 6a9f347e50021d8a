"""A run: clients at work, kills among them, and in the end the question whether everybody agrees."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.chaos import linearizability, report
from tests.chaos.bills import Bills
from tests.chaos.caller import Caller, Undecided
from tests.chaos.clients import Client, Reader
from tests.chaos.decisions import Plan
from tests.chaos.expected import Expected, expected, outcomes
from tests.chaos.gate import Gate
from tests.chaos.histories import history
from tests.chaos.record import Attempt, Record, Request, requests_in
from tests.chaos.report import Recovery, Report
from tests.chaos.schedule import Strike, strikes
from tests.chaos.system import System
from tests.chaos.views import Differences, Views, closing_instants

CLIENTS = 16
READERS = 2
GOOD_AGAIN_WITHIN_S = 60.0
CAUGHT_UP_WITHIN_S = 60.0
# So many include every kind of kill: some of them are bound to interrupt somebody.
INTERRUPT_FROM_KILLS = 20


class Run:
    """`progress` is told what happens, for people."""

    def __init__(self, system: System, plan: Plan, kills: int, record: Record) -> None:
        self._system = system
        self._plan = plan
        self._kills = kills
        self._record = record
        self._stop = threading.Event()
        self._looked_enough = threading.Event()
        self._bills = Bills(plan)
        self._gate = Gate(plan.clients)
        self._clients = [
            Client(n, self._bills, self._caller(f"client {n}"), self._gate, self._stop) for n in range(plan.clients)
        ]
        self._readers = [
            Reader(n, self._bills, self._caller(f"reader {n}", self._looked_enough), self._looked_enough)
            for n in range(READERS)
        ]
        self._everybody: Sequence[Client | Reader] = [*self._clients, *self._readers]
        self._recoveries: list[Recovery] = []
        # Of each kill: from when until when nothing may have been answered, and whether all clients came to the next.
        self._spans: list[tuple[float, float]] = []
        self._caught_up: list[bool] = []

    def report(self, title: str) -> Report:
        """All of it; the system runs afterwards as it did before."""
        began = time.monotonic()
        failures = self._kill_among_clients()
        worked_s = time.monotonic() - began
        by_bill = requests_in(self._record.file)
        every = [request for requests in by_bill.values() for request in requests]
        cut_off = cut_off_by(self._spans, every)
        found = self._compared(by_bill)
        found[""] = [*failures, *_in_vain(cut_off, self._caught_up), *found.get("", [])]
        items = sum(len(one.items) for one in self._expected.values())
        facts = {
            "bills": f"{len(self._expected)}, {self._by_status()}",
            "items": f"{items:,} acknowledged, of {self._plan.items:,} asked for",
            "requests": f"{len(every):,} in {sum(len(one.attempts) for one in every):,} attempts, "
            f"{sum(len(one.attempts) > 1 for one in every):,} repeated until decided",
            "cut off": f"{sum(cut_off):,} attempts, by {sum(map(bool, cut_off))} of {self._kills} kills; all repeated",
            "at the next kill": f"all {self._plan.clients} clients, {sum(self._caught_up)} of {self._kills} times",
            "time": f"{worked_s:.0f} s with kills; workflows agreed {self._agreed_s:.0f} s after the last request",
            "histories": f"{self._checked:,} operations in order, found in {self._check_s:.1f} s",
            **report.place(),
        }
        return Report(title, facts, self._recoveries, outcomes(iter(every)), {k: v for k, v in found.items() if v})

    def stop(self) -> None:
        self._stop.set()
        self._looked_enough.set()

    def _caller(self, name: str, stop: threading.Event | None = None) -> Caller:
        return Caller(name, self._system.stack.port, self._system.api_key, self._record, stop or self._stop)

    def _kill_among_clients(self) -> list[str]:
        """What failed that should not; the recoveries stand in self._recoveries."""
        with self._at_work() as threads:
            for number, strike in enumerate(strikes(self._plan.seed, self._kills)):
                self._gate.release((number + 1) / (self._kills + 1))
                time.sleep(strike.lead_s)
                self._recoveries.append(self._recovery(strike))
                self._caught_up.append(self._gate.wait_until_all_wait(CAUGHT_UP_WITHIN_S))
                _say(number + 1, self._kills, self._recoveries[-1], caught_up=self._caught_up[-1])
            self._gate.release(2.0)
            for thread in threads[: self._plan.clients]:
                thread.join()
        return [*self._learnt(), *self._failures()]

    def _recovery(self, strike: Strike) -> Recovery:
        struck_at = time.monotonic()
        began = self._system.strike(strike)
        self._record.note(killed=strike.targets, restarted_at=began)
        self._record.watch(began)
        self._system.wait_until_up(strike)
        up_s = time.monotonic() - began
        good = self._record.wait_for_good(GOOD_AGAIN_WITHIN_S)
        self._spans.append((struck_at, time.monotonic()))
        return Recovery(strike, up_s, self._record.first_good - began if good else float("inf"))

    @contextmanager
    def _at_work(self) -> Iterator[Sequence[threading.Thread]]:
        """Daemons: whatever happens here, they keep nothing from ending."""
        threads = [threading.Thread(target=one.run, name=one.name, daemon=True) for one in self._everybody]
        for thread in threads:
            thread.start()
        try:
            yield threads
        except BaseException:
            self.stop()
            raise
        finally:
            self._looked_enough.set()
            for thread in threads:
                thread.join(15)

    def _learnt(self) -> Iterator[str]:
        for client in self._clients:
            try:
                client.learn_what_became_of_stored()
            except Undecided as failure:
                yield f"{client.name}: {failure}"

    def _failures(self) -> Iterator[str]:
        for one in self._everybody:
            if one.failure is not None:
                yield f"{one.name} failed: {one.failure!r}"
        if self._system.unforeseen:
            yield f"the web's log has a failure that nobody had foreseen:\n{self._system.unforeseen}"
        yield from (
            f"no good answer within {GOOD_AGAIN_WITHIN_S:.0f} s after {recovery.strike.name} was killed"
            for recovery in self._recoveries
            if recovery.good_s == float("inf")
        )

    def _compared(self, by_bill: dict[str, list[Request]]) -> Differences:
        ids = {id_: bill for bill, id_ in self._bills.ids.items()}
        of_bills = {bill_id: by_bill.get(bill_id, []) for bill_id in ids}
        self._expected = {
            bill_id: expected(bill_id, requests) if requests else Expected(ids[bill_id], bill_id)
            for bill_id, requests in of_bills.items()
        }
        views = Views(self._system.stack, self._system.api_key, self._expected)
        try:
            views.wait_until_closed()
            found: Differences = defaultdict(list, views.differences())
        finally:
            views.close()
        found[""] += [sentence for request in by_bill.get("", []) for sentence in _of_opening(request)]
        self._stored, self._agreed_s = views.stored, views.workflows_agreed_after_s
        for bill_id, sentence in self._without_order(of_bills):
            found[bill_id].append(sentence)
        return found

    def _without_order(self, of_bills: dict[str, list[Request]]) -> Iterator[tuple[str, str]]:
        """Bills whose history is not linearizable, and why."""
        began, self._checked = time.monotonic(), 0
        ended = closing_instants(self._stored, datetime.now(UTC).timestamp() - time.monotonic())
        for bill_id, stored in self._stored.items():
            operations = history(of_bills[bill_id], stored.positions, ended.get(bill_id))
            self._checked += len(operations)
            try:
                verdict = linearizability.check(operations)
            except linearizability.TooManySteps:
                yield bill_id, f"its history of {len(operations)} operations could not be checked in time"
                continue
            if not verdict:
                yield bill_id, f"its history has no order: {linearizability.described(verdict, len(operations))}"
        self._check_s = time.monotonic() - began

    def _by_status(self) -> str:
        counted = Counter(f"{bill.row.status}{_how(bill.row.close_reason)}" for bill in self._stored.values())
        return ", ".join(f"{count} {status}" for status, count in sorted(counted.items()))


def cut_off_by(spans: Sequence[tuple[float, float]], requests: Iterable[Request]) -> list[int]:
    """How many attempts each kill cut off, or left without an answer in its wake, so that they were repeated."""
    met = [0] * len(spans)
    for attempt in (one for request in requests for one in request.attempts[:-1] if one.was_cut_off):
        kill = next((number for number, span in enumerate(spans) if _within(attempt, *span)), None)
        if kill is not None:
            met[kill] += 1
    return met


def _within(attempt: Attempt, begins: float, ends: float) -> bool:
    return attempt.asked_at <= ends and (attempt.answered_at is None or attempt.answered_at >= begins)


def _in_vain(cut_off: Sequence[int], caught_up: Sequence[bool]) -> Iterator[str]:
    """Kills that met nobody prove nothing."""
    if len(cut_off) >= INTERRUPT_FROM_KILLS and not any(cut_off):
        yield f"{len(cut_off)} kills interrupted nobody: no request needed a second attempt"
    if caught_up and not any(caught_up):
        yield f"never did all clients come to the next kill within {CAUGHT_UP_WITHIN_S:.0f} s: it may have met nobody"


def _how(close_reason: str | None) -> str:
    return {"manual": " by hand", "period_end": " by themselves"}.get(close_reason or "", "")


def _of_opening(request: Request) -> Iterator[str]:
    if not request.is_decided:
        yield f"{request.what['wish']} was never decided"
    elif not request.succeeded and request.reason != "invalid_value":
        yield f"{request.what['wish']} was answered {request.last.status} {request.reason}"


def _say(number: int, of: int, recovery: Recovery, *, caught_up: bool) -> None:
    late = "" if caught_up else f"; not all clients came to the next within {CAUGHT_UP_WITHIN_S:.0f} s"
    where = f"{number}/{of} {recovery.strike.name}"
    print(f"{where}: up after {recovery.up_s:.2f} s, a good answer after {recovery.good_s:.2f} s{late}", flush=True)
