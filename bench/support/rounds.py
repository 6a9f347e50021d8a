"""All loads in turn, round after round, so that what drifts on the machine hits all of them."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.support import batches, load
from bench.support.bills import PlainBills, SystemBills
from bench.support.load import Ask, Sample
from bench.support.measures import Series
from bench.support.seed import SeedBills
from bench.support.stack import Stack

BILLS_OF_ONE_CLIENT = 64
BILLS_OF_A_CLIENT = 12
FULL_ITEMS = 150
BATCH, BATCHES = 1_000, 8
SETTLED_WITHIN_S = 60
BEHIND = """
    SELECT count(*) FROM bills b LEFT JOIN bill_workflows w ON w.bill_id = b.id
    WHERE coalesce(w.heard_version, 0) < b.version
"""


@dataclass(frozen=True)
class Plan:
    """How often, and for how long each time; the seed's way is slow and measured apart."""

    rounds: int
    seconds: float
    seed_rounds: int
    seed_seconds: float


@dataclass
class Way:
    """One way of adding under one load."""

    series: Series
    measure: Callable[[], Sample]


@dataclass
class Pair:
    """The system and what it is held against, measured one right after the other."""

    name: str
    ours: Way
    other: Way | None = None


class Rounds:
    """Run once; then `spread`, `hot`, `full` (by number of clients), `batch` and `seed` hold the series."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self._stack = stack
        self._plan = plan
        self._system, self._plain = SystemBills(stack), PlainBills(stack)
        self._seed = SeedBills(stack, self._plain)
        self.longest_settling_s = 0.0
        self.spread = {1: self._spread(1, BILLS_OF_ONE_CLIENT), 16: self._spread(16, BILLS_OF_A_CLIENT)}
        self.hot = {clients: self._hot(clients) for clients in (16, 64)}
        self.full = self._full((1, 16))
        self.batch = self._batch()
        self.seed = {clients: self._seed_way(clients) for clients in (1, 16)}

    @property
    def pairs(self) -> list[Pair]:
        return [*self.spread.values(), *self.hot.values(), *self.full.values(), self.batch]

    def run(self) -> None:
        self._settle()
        for number in range(self._plan.rounds):
            for pair in self.pairs:
                say(f"round {number + 1} of {self._plan.rounds}: {pair.name}")
                self._measure(pair, ours_first=bool(number % 2))
            for way in self.seed.values() if number < self._plan.seed_rounds else ():
                say(f"round {number + 1} of {self._plan.seed_rounds}: {way.series.name}, {counted(way.series.clients)}")
                way.series.rounds.append(way.measure())

    def _measure(self, pair: Pair, *, ours_first: bool) -> None:
        ways = [way for way in (pair.ours, pair.other) if way]
        for way in ways if ours_first else reversed(ways):
            way.series.rounds.append(way.measure())
            if way is pair.ours:
                self._settle()

    def _spread(self, clients: int, bills_each: int) -> Pair:
        """Bills of a few items, a different one each time: what an integrator's usual day looks like."""
        ours = [self._system.opened(bills_each) for _ in range(clients)]
        plain = [self._plain.opened(bills_each) for _ in range(clients)]
        return self._pair(
            "different bills", clients, lambda: self._system.adding(ours), lambda: self._plain.adding(plain)
        )

    def _hot(self, clients: int) -> Pair:
        """A new bill each round, so that no round begins where another left off."""
        return self._pair(
            "one bill",
            clients,
            lambda: self._system.adding([self._system.opened(1)] * clients),
            lambda: self._plain.adding([self._plain.opened(1)] * clients),
        )

    def _full(self, counts: Sequence[int]) -> dict[int, Pair]:
        bills = self._system.opened(max(counts))
        self._system.filled(bills, FULL_ITEMS)
        own = [[bill] for bill in bills]
        return {
            clients: Pair(
                f"bills of more than {FULL_ITEMS} items, {counted(clients)}",
                self._web(
                    "system", f"bills of more than {FULL_ITEMS} items", clients, lambda: self._system.adding(own)
                ),
            )
            for clients in counts
        }

    def _pair(self, load_: str, clients: int, ours: Callable[[], Ask], plain: Callable[[], Ask]) -> Pair:
        ways = self._web("system", load_, clients, ours), self._web("floor", load_, clients, plain)
        return Pair(f"{load_}, {counted(clients)}", *ways)

    def _web(self, web: str, load_: str, clients: int, asking: Callable[[], Ask]) -> Way:
        def measure() -> Sample:
            return load.run(self._stack.ports[web], clients, asking(), self._plan.seconds)

        return Way(Series(f"{web}: {load_}", clients), measure)

    def _batch(self) -> Pair:
        return Pair(
            f"{BATCH:,} items in one call",
            Way(
                Series(f"system: {BATCH:,} items a call", 1),
                lambda: batches.called(self._stack, self._system, BATCH, BATCHES),
            ),
            Way(
                Series(f"SQL: one insert of {BATCH:,} rows", 1),
                lambda: batches.inserted(self._stack, self._plain, BATCH, BATCHES),
            ),
        )

    def _seed_way(self, clients: int) -> Way:
        seconds = self._plan.seed_seconds
        return Way(Series("seed's way: one bill", clients), lambda: self._seed.measure(clients, seconds))

    def _settle(self) -> None:
        """Until every workflow has heard of its bill: what one round signals must not run in the next."""
        began = time.monotonic()
        while self._stack.database.execute(BEHIND).fetchone() != (0,):
            if time.monotonic() - began > SETTLED_WITHIN_S:
                raise RuntimeError(f"workflows had not heard of their bills after {SETTLED_WITHIN_S} s")
            time.sleep(0.1)
        self.longest_settling_s = max(self.longest_settling_s, time.monotonic() - began)
        time.sleep(0.3)


def counted(clients: int) -> str:
    return "1 client" if clients == 1 else f"{clients} clients"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
