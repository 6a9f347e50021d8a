"""Webhooks to a receiver that fails half of the time and hangs at times, while workers are killed: all arrive, each at
least once, those of a bill in their order.

python -m tests.chaos.webhooks --events 10000 --bills 500 --kills 5 --seed 7 --record
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Engine

from billing.ledger import bills, feed, line_items, webhook_removal
from billing.ledger.events import LogPosition
from billing.ledger.public_events import PUBLIC
from billing.origin import Actor, ActorKind, Origin
from billing.period import Period
from tests.chaos import report
from tests.chaos.system import System
from tests.support.ledger import draft
from tests.support.stack import SECRET, Stack
from tests.support.webhook_receiver import Received, WebhookReceiver
from tests.support.webhooks import made_endpoint, standing

FAILS = 0.5
WRITERS = 4
# With the usual ones an event that fails ten times would take an hour and a half.
IMPATIENT = {"WEBHOOK_FIRST_RETRY_SECONDS": "0.2", "WEBHOOK_LONGEST_RETRY_SECONDS": "5"}


@dataclass(frozen=True)
class Flood:
    """What is sent, and what befalls it."""

    seed: int
    events: int
    bills: int
    kills: int
    hangs: float = 0.002
    within_s: float = 900


@dataclass(frozen=True)
class Result:
    """`failed` and `hung` are how requests were answered; `repeated` arrived once more after they had arrived. `wrong`:
    what was lost, was sent out of order, or never was an event."""

    events: int
    requests: int
    failed: int
    hung: int
    repeated: int
    most_requests: int
    kills: int
    written_s: float
    took_s: float
    wrong: Sequence[str]

    def __str__(self) -> str:
        return (
            f"{self.events:,} events in {self.requests:,} requests ({self.failed:,} answered 500, {self.hung} hung,"
            f" {self.repeated} were repeats of what had arrived; {self.most_requests} for one event at most),"
            f" {self.kills} workers killed; written in {self.written_s:.0f} s, all arrived after {self.took_s:.0f} s;"
            f" {'; '.join(self.wrong) if self.wrong else 'each at least once, in the order of its bill'}"
        )


def flooded(stack: Stack, flood: Flood) -> Result:
    """Needs a stack whose worker was started with IMPATIENT."""
    chance = random.Random(flood.seed)
    answered = Counter[str]()
    asked = Counter[str]()

    def answer(received: Received) -> int | None:
        # Asked for by one request at a time.
        asked[received.id] += 1
        if chance.random() < flood.hangs:
            answered["hung"] += 1
            return None
        status = 500 if chance.random() < FAILS else 200
        answered["failed" if status == 500 else "accepted"] += 1
        return status

    with WebhookReceiver(answer) as receiver:
        origin = Origin(Actor(ActorKind.API_KEY, "flood", "flood"), uuid4(), "flood")
        start = feed.head(stack.engine)
        endpoint, _ = made_endpoint(stack.engine, origin, receiver.url, secret_key=SECRET)
        began = time.monotonic()
        with ThreadPoolExecutor(1) as writer:
            writing = writer.submit(_write, stack.engine, origin, flood)
            # By this thread, which the processes that it starts are tied to.
            _kill_workers(stack, receiver, flood)
            written_s = writing.result() - began
        expected = _events_after(stack.engine, start)
        _wait_for_all(receiver, expected, began + flood.within_s)
        took_s = time.monotonic() - began
        wrong = _differences(receiver, expected)
        # The answer to the last one may not be stored yet.
        deadline = time.monotonic() + 60
        while set(standing(stack.engine, endpoint.id)) != {"delivered"} and time.monotonic() < deadline:
            time.sleep(0.2)
        webhook_removal.remove(stack.engine, origin, endpoint.id)
        return Result(
            events=len(expected),
            requests=len(receiver.received),
            failed=answered["failed"],
            hung=answered["hung"],
            repeated=answered["accepted"] - len(receiver.accepted),
            most_requests=max(asked.values(), default=0),
            kills=flood.kills,
            written_s=written_s,
            took_s=took_s,
            wrong=wrong,
        )


def _write(engine: Engine, origin: Origin, flood: Flood) -> float:
    """Bills, and items that come to them in no order, by several at once; when that was done."""
    now = datetime.now(UTC)
    period = Period(now, now + timedelta(days=30))
    opened = [bills.open_bill(engine, origin, f"flood-{uuid4().hex}", period).bill.id for _ in range(flood.bills)]
    chance = random.Random(flood.seed)
    wanted = [chance.choice(opened) for _ in range(flood.events - 2 * flood.bills)]

    def write(mine: Sequence[UUID]) -> None:
        for bill_id in mine:
            line_items.add(engine, origin, bill_id, draft())

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, [wanted[n::WRITERS] for n in range(WRITERS)]))
    return time.monotonic()


def _events_after(engine: Engine, position: LogPosition) -> set[str]:
    found: set[str] = set()
    while True:
        page = feed.page(engine, None, position, PUBLIC.keys(), limit=1_000)
        found |= {event["id"] for event in page.events}
        position = page.reached
        if not page.has_more:
            return found


def _kill_workers(stack: Stack, receiver: WebhookReceiver, flood: Flood) -> None:
    """One after each so many requests."""
    for number in range(flood.kills):
        wanted = (number + 1) * flood.events // (flood.kills + 1)
        deadline = time.monotonic() + flood.within_s
        while len(receiver.received) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        stack.worker.kill()
        stack.worker.start(**IMPATIENT)


def _wait_for_all(receiver: WebhookReceiver, expected: set[str], deadline: float) -> None:
    while len(receiver.accepted) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.1)


def _differences(receiver: WebhookReceiver, expected: set[str]) -> list[str]:
    accepted = set(receiver.accepted)
    lost, unknown = expected - accepted, accepted - expected
    disordered = [subject for subject, versions in receiver.order().items() if versions != sorted(versions)]
    found = {"lost": lost, "unknown": unknown, "out of order": disordered}
    return [f"{len(which)} {what}, as {min(which)}" for what, which in found.items() if which]


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=10_000)
    options.add_argument("--bills", type=int, default=500)
    options.add_argument("--kills", type=int, default=5)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--record", action="store_true", help="append what came of it to tests/chaos/results")
    asked = options.parse_args(arguments)
    with System() as system:
        system.stack.worker.stop()
        system.stack.worker.start(**IMPATIENT)
        result = flooded(system.stack, Flood(asked.seed, asked.events, asked.bills, asked.kills))
    print(f"seed {asked.seed}: {result}")
    if asked.record:
        command = f"python -m tests.chaos.webhooks --events {asked.events} --bills {asked.bills} --kills {asked.kills}"
        facts = {"command": f"{command} --seed {asked.seed}", **report.place(), "result": str(result)}
        differences = {"": list(result.wrong)} if result.wrong else {}
        print(report.record(report.Report("Webhooks", facts, differences=differences)))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
