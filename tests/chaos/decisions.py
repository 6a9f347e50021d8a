"""What the clients do, step by step: the same for the same seed, whatever they are answered.

A decision names bills by their place in the run and earlier requests by a fraction of those that there are: what it
comes to depends on the run, what was decided does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CURRENCIES = ("GEL", "USD", "EUR", "JPY", "KWD")
# So many bills are in use at once; bills come and go in their order.
WINDOW = 8
LARGEST_BATCH = 30
SOON_S = (5.0, 35.0)
# One that ends by itself does so at the latest so long after anybody moved its end.
LONGEST_REST_S = 40.0


class Do(StrEnum):
    ADD = "add"
    BATCH = "batch"
    ASK = "ask"
    REVERSE = "reverse"
    EXTEND = "extend"
    CLOSE = "close"
    READ = "read"
    REPEAT = "repeat"
    REPEAT_OTHERWISE = "repeat otherwise"


class Life(StrEnum):
    """KEPT: open when the run is over. CLOSED: by a client. ENDS: by itself, within the run."""

    KEPT = "kept"
    CLOSED = "closed"
    ENDS = "ends"


# Of a hundred steps.
WEIGHTS = {
    Do.ADD: 46, Do.BATCH: 11, Do.ASK: 4, Do.REVERSE: 8, Do.EXTEND: 4, Do.CLOSE: 1, Do.READ: 14,
    Do.REPEAT: 7, Do.REPEAT_OTHERWISE: 5,
}  # fmt: skip
LIVES = {Life.KEPT: 40, Life.CLOSED: 35, Life.ENDS: 25}
HANG_UPS = 0.05
KEYED_ROWS = 0.3
GUARDED = 0.15


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    items: int
    bills: int
    clients: int

    def life(self, bill: int) -> Life:
        return Life(_of(random.Random(f"{self.seed}/life/{bill}"), LIVES))

    def lasts_s(self, bill: int) -> float:
        """From its opening to its end, for one that ends by itself."""
        return random.Random(f"{self.seed}/end/{bill}").uniform(*SOON_S)

    def closed_at(self, bill: int) -> float:
        """The progress at which one that is to be closed is: while the others still use it."""
        begins, ends = (self._progress_when_oldest(oldest) for oldest in (bill - WINDOW + 1, bill + 1))
        return begins + (ends - begins) * random.Random(f"{self.seed}/close/{bill}").uniform(0.5, 0.95)

    def oldest_in_use(self, progress: float) -> int:
        return int(progress * max(self.bills - WINDOW, 0))

    def _progress_when_oldest(self, bill: int) -> float:
        spread = self.bills - WINDOW
        return min(max(bill / spread, 0.0), 1.0) if spread > 0 else float(bill > 0)

    def quota(self, client: int) -> int:
        return self.items // self.clients + (client < self.items % self.clients)


@dataclass(frozen=True, slots=True)
class Decision:
    """`progress` is the fraction of the client's items that it asked for before this; `pick` chooses among earlier
    requests. `guarded`: with the version that the client saw last. `hangs_up`: its first attempt, without an answer."""

    step: int
    do: Do
    bill: int
    progress: float
    rows: tuple[dict[str, Any], ...] = ()
    pick: float = 0.0
    seconds: float = 0.0
    guarded: bool = False
    hangs_up: bool = False

    @property
    def items(self) -> int:
        return 1 if self.do in {Do.REVERSE, Do.ASK} else len(self.rows)


@dataclass
class _Client:
    plan: Plan
    number: int
    chance: random.Random = field(init=False)
    step: int = 0
    asked_for: int = 0
    to_close: list[int] = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.chance = random.Random(f"{plan.seed}/client/{self.number}")
        # Each bill that is to be closed has a client who does so.
        mine = [bill for bill in range(self.number, plan.bills, plan.clients) if plan.life(bill) is Life.CLOSED]
        self.to_close = sorted(mine, key=plan.closed_at, reverse=True)

    @property
    def progress(self) -> float:
        return self.asked_for / max(self.plan.quota(self.number), 1)

    def decide(self, do: Do, bill: int) -> Decision:
        self.step += 1
        count = {Do.ADD: 1, Do.ASK: 1, Do.BATCH: self.chance.randint(2, LARGEST_BATCH)}.get(do, 0)
        count = min(count, self.plan.quota(self.number) - self.asked_for)
        decision = Decision(
            self.step,
            do,
            bill,
            self.progress,
            tuple(self._row(number) for number in range(count)),
            self.chance.random(),
            self.chance.uniform(3, 20),
            self.chance.random() < GUARDED,
            do is not Do.READ and self.chance.random() < HANG_UPS,
        )
        self.asked_for += decision.items
        return decision

    def _row(self, number: int) -> dict[str, Any]:
        chance = self.chance
        row = {
            "description": f"{self.number}-{self.step}-{number}",
            "quantity": str(chance.choice([chance.randint(1, 1_000), f"{chance.uniform(0.000001, 5000):.6f}"])),
            "unit_price": str(chance.choice([chance.randint(0, 500), f"{chance.uniform(0, 90):.12f}"])),
            "currency": chance.choice(CURRENCIES),
        }
        keyed = chance.random() < KEYED_ROWS
        return {**row, "key": f"row-{self.number}-{self.step}-{number}"} if keyed else row


def decisions(plan: Plan, number: int) -> Iterator[Decision]:
    """Until the client has asked for all of its items."""
    client = _Client(plan, number)
    while client.asked_for < plan.quota(number):
        yield from _due_closes(client)
        bill = plan.oldest_in_use(client.progress) + client.chance.randrange(min(WINDOW, plan.bills))
        do = _of(client.chance, WEIGHTS)
        # Now and then somebody else closes it, perhaps long before: but only one that is to be closed.
        if do is Do.CLOSE and plan.life(bill) is not Life.CLOSED:
            do = Do.READ
        yield client.decide(do, bill)
    yield from _due_closes(client, last=True)


def _due_closes(client: _Client, *, last: bool = False) -> Iterator[Decision]:
    while client.to_close and (last or client.plan.closed_at(client.to_close[-1]) <= client.progress):
        yield client.decide(Do.CLOSE, client.to_close.pop())


def reads(plan: Plan, number: int) -> Iterator[float]:
    """For somebody who only looks: which of the bills in use, as a fraction, for ever."""
    chance = random.Random(f"{plan.seed}/reader/{number}")
    while True:
        yield chance.random()


def _of(chance: random.Random, weights: dict[Any, int]) -> Any:
    (chosen,) = chance.choices(list(weights), list(weights.values()))
    return chosen
