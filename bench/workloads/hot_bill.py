"""Everybody adds to one bill; beside them, one client adds to bills of its own."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bench.support import load
from bench.support.bills import PlainBills, SystemBills
from bench.support.figures import Figure, Plan, at_least, at_most
from bench.support.load import Group, Sample
from bench.support.measures import Way, compared, counted, in_turns, p50, p99, per_second
from bench.support.seed import SeedBills
from bench.support.settled import settle
from bench.support.stack import Stack

TITLE = "2: One hot bill"

CLIENTS = (16, 64, 256)
LOWEST_THROUGHPUT = at_least(0.6)
SLOWEST_P99 = at_most(2.5)
OVER_THE_SEED = at_least(100)
NEIGHBOURS_P99 = at_most(3)
BILLS_OF_THE_NEIGHBOUR = 16
SEED_CLIENTS = (16, 64)
# Where the aims are out of reach on two cores that all of it shares: what was measured there, and some.
SEED_INSTEAD = at_least(30)
HALF_INSTEAD = at_most(5)
NEIGHBOURS_INSTEAD = {16: at_most(10), 64: at_most(20), 256: at_most(70)}
WHY = "docs/decisions/0013"


@dataclass(frozen=True)
class Crowd:
    """On one bill; each asks again when it was answered, and after `every_s` at the earliest."""

    clients: int
    every_s: float = 0.0
    # What it had of its bill in each round, in items a second.
    rates: list[float] = field(default_factory=list)


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    stack.floor()
    stack.seed()
    system, plain = SystemBills(stack), PlainBills(stack)
    found: list[Figure] = []
    for clients in CLIENTS[:2] if plan.quick else CLIENTS:
        ours, floor = _on_one(stack, plan, "system", system, clients), _on_one(stack, plan, "floor", plain, clients)
        in_turns([ours, floor], plan.rounds(3))
        found += _beside_the_floor(clients, ours, floor)
        if clients in SEED_CLIENTS:
            found += _beside_the_seed(stack, plan, clients, (ours, floor), plain)
    for clients in CLIENTS[:2] if plan.quick else CLIENTS:
        found += _neighbours(stack, plan, clients)
    found.append(_neighbours_of_half(stack, plan, next(one.value for one in found if one.unit == "items/s")))
    return found


def _beside_the_floor(clients: int, ours: Way, floor: Way) -> list[Figure]:
    name = counted(clients)
    return [
        compared(f"{name}: throughput", ours, floor, per_second, "items/s", LOWEST_THROUGHPUT),
        compared(f"{name}: p99", ours, floor, p99, "ms", SLOWEST_P99),
        compared(f"{name}: p50", ours, floor, p50, "ms"),
    ]


def _on_one(stack: Stack, plan: Plan, web: str, bills: SystemBills | PlainBills, clients: int) -> Way:
    """A new bill each round, so that no round begins where another left off."""

    def run() -> Sample:
        asking = bills.adding([bills.opened(1)] * clients)
        sample = load.run(stack.ports[web], clients, asking, plan.seconds(3))
        settle(stack)
        return sample

    return Way(web, run)


def _beside_the_seed(
    stack: Stack, plan: Plan, clients: int, ways: tuple[Way, Way], plain: PlainBills
) -> Iterator[Figure]:
    """The system's and, as a measure of what is possible, the floor's. The seed's items count when they are stored: its
    answers come before that."""
    bills = SeedBills(stack, plain)
    # Under so much load some of its calls of Temporal fail; those aren't counted.
    seed = Way("seed's way", lambda: bills.measure(clients, plan.seconds(8)), may_refuse=True)
    in_turns([seed], plan.rounds(2))
    for way, aim in zip(ways, (OVER_THE_SEED, None), strict=True):
        beside = Way(way.name, way.measure, way.rounds[-len(seed.rounds) :])
        what = f"{counted(clients)}, {way.name}: throughput beside the seed's way"
        figure = compared(what, beside, seed, per_second, "items/s", aim)
        yield replace(figure, instead=SEED_INSTEAD, why=WHY) if aim else figure


def _neighbours(stack: Stack, plan: Plan, clients: int) -> list[Figure]:
    """One client that adds to other bills while so many are on one; the floor's, as a measure of what is possible."""
    found = []
    for web, bills in (("system", SystemBills(stack)), ("floor", PlainBills(stack))):
        own = [bills.opened(BILLS_OF_THE_NEIGHBOUR)]
        quiet = Way("quiet", _quiet(stack, plan, web, bills, own))
        beside = Way("beside", _crowded(stack, plan, web, bills, own, Crowd(clients)))
        in_turns([beside, quiet], plan.rounds(3))
        ours = web == "system"
        what = f"another bill beside {counted(clients)}, {web}: p99"
        figure = compared(what, beside, quiet, p99, "ms", NEIGHBOURS_P99 if ours else None)
        found.append(replace(figure, instead=NEIGHBOURS_INSTEAD[clients], why=WHY) if ours else figure)
    return found


def _neighbours_of_half(stack: Stack, plan: Plan, most_per_s: float) -> Figure:
    """Beside those who ask for half of what they could have: what is left of waiting where there are processors for
    everybody."""
    bills, clients = SystemBills(stack), CLIENTS[0]
    own = [bills.opened(BILLS_OF_THE_NEIGHBOUR)]
    crowd = Crowd(clients, every_s=2 * clients / most_per_s)
    quiet = Way("quiet", _quiet(stack, plan, "system", bills, own))
    beside = Way("beside", _crowded(stack, plan, "system", bills, own, crowd))
    in_turns([beside, quiet], plan.rounds(3))
    had = statistics.median(crowd.rates)
    what = f"another bill beside {counted(clients)} that ask for half as much and have {had:.0f} a second: p99"
    return compared(what, beside, quiet, p99, "ms", NEIGHBOURS_P99, instead=HALF_INSTEAD, why=WHY)


def _quiet(
    stack: Stack, plan: Plan, web: str, bills: SystemBills | PlainBills, own: list[list[str]]
) -> Callable[[], Sample]:
    def run() -> Sample:
        settle(stack)
        return load.run(stack.ports[web], 1, bills.adding(own), plan.seconds(3))

    return run


def _crowded(
    stack: Stack, plan: Plan, web: str, bills: SystemBills | PlainBills, own: list[list[str]], crowd: Crowd
) -> Callable[[], Sample]:
    def run() -> Sample:
        settle(stack)
        on_one = bills.adding([bills.opened(1)] * crowd.clients)
        groups = [Group(crowd.clients, on_one, crowd.every_s), Group(1, bills.adding(own))]
        of_the_crowd, of_the_neighbour = load.run_groups(stack.ports[web], groups, plan.seconds(3))
        if of_the_crowd.refused:
            raise RuntimeError(f"the crowd was refused {of_the_crowd.refused} times: {of_the_crowd.first_refusal!r}")
        crowd.rates.append(of_the_crowd.per_second)
        return of_the_neighbour

    return run
