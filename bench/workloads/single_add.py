"""One item a request, on bills that nobody else adds to: an integrator's usual day."""

from __future__ import annotations

from functools import partial

from bench.support import load
from bench.support.bills import PlainBills, SystemBills
from bench.support.figures import Figure, Plan, at_least, at_most
from bench.support.load import Sample
from bench.support.measures import Way, compared, counted, in_turns, p50, p99, per_second
from bench.support.settled import settle
from bench.support.stack import Stack

TITLE = "1: Single add over HTTP, on different bills"

# By number of clients: how many bills each client goes round.
BILLS_OF_A_CLIENT = {1: 64, 16: 4}
SLOWEST_P50 = at_most(1.5)
LOWEST_THROUGHPUT = at_least(0.6)
# What an item needs beside the floor's work is listed there in microseconds, and adds up to the difference.
SLOWEST_INSTEAD, LOWEST_INSTEAD = at_most(2), at_least(0.45)
WHY = "docs/decisions/0013"


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    stack.floor()
    found: list[Figure] = []
    for clients in BILLS_OF_A_CLIENT:
        ours, floor = _system(stack, plan, clients), _floor(stack, plan, clients)
        in_turns([ours, floor], plan.rounds(5))
        with_clients = partial("{}: {}".format, counted(clients))
        found += [
            compared(with_clients("p50"), ours, floor, p50, "ms", SLOWEST_P50, instead=SLOWEST_INSTEAD, why=WHY),
            compared(
                with_clients("throughput"),
                ours,
                floor,
                per_second,
                "items/s",
                LOWEST_THROUGHPUT,
                instead=LOWEST_INSTEAD,
                why=WHY,
            ),
            compared(with_clients("p99"), ours, floor, p99, "ms"),
        ]
        shares = ", ".join(f"{way.name} {max(one.cpu_share for one in way.rounds):.2f}" for way in (ours, floor))
        plan.notes.append(f"share of a core that the load of {counted(clients)} took at most: {shares}")
    return found


def _system(stack: Stack, plan: Plan, clients: int) -> Way:
    bills = SystemBills(stack)
    opened = [bills.opened(BILLS_OF_A_CLIENT[clients]) for _ in range(clients)]

    def run() -> Sample:
        sample = load.run(stack.ports["system"], clients, bills.adding(opened), plan.seconds(3))
        settle(stack)
        return sample

    return Way("system", run)


def _floor(stack: Stack, plan: Plan, clients: int) -> Way:
    bills = PlainBills(stack)
    opened = [bills.opened(BILLS_OF_A_CLIENT[clients]) for _ in range(clients)]
    return Way("floor", lambda: load.run(stack.ports["floor"], clients, bills.adding(opened), plan.seconds(3)))
