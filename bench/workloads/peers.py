"""What a Python team would pick instead: the same adds and the same close, one way after the other."""

from __future__ import annotations

import statistics
import time

from bench.peers.engines import PEERS, Engine, Ours
from bench.support import load
from bench.support.environments import NotInstalled
from bench.support.figures import Figure, Plan
from bench.support.load import Sample
from bench.support.measures import Way, compared, counted, in_turns, p50, p99, per_second
from bench.support.said import say
from bench.support.stack import Stack

TITLE = "9: Peers: the same bill, kept by others"

CLIENTS = 16
BILLS_OF_A_CLIENT = 4
LINES, CLOSES = 1_000, 5
# Longer than the slowest peer takes for an answer, also beside others: a round without one measures nothing.
SECONDS = 6.0


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    ours = Ours(stack)
    ours.start()
    peers = _started(stack, plan)
    return [
        *_adds(plan, ours, peers, "one client, its own bills", 1, hot=False),
        *_adds(plan, ours, peers, f"{counted(CLIENTS)}, their own bills", CLIENTS, hot=False),
        *_adds(plan, ours, peers, f"{counted(CLIENTS)}, one bill", CLIENTS, hot=True),
        *_closes(plan, ours, peers),
    ]


def _started(stack: Stack, plan: Plan) -> list[Engine]:
    """Those whose runtime is here; the notes say which isn't."""
    started = []
    for peer in PEERS:
        engine = peer(stack)
        say(f"starting {engine.NAME}")
        try:
            engine.start()
        except NotInstalled as missing:
            plan.notes.append(f"{engine.NAME} is skipped: {missing}")
            continue
        started.append(engine)
    return started


def _adds(plan: Plan, ours: Engine, peers: list[Engine], what: str, clients: int, *, hot: bool) -> list[Figure]:
    ways = [_way(engine, plan, clients, hot=hot) for engine in (ours, *peers)]
    in_turns(ways, plan.rounds(3))
    return [
        compared(f"{what}: {name}", ways[0], other, figure, unit)
        for name, figure, unit in (("p50", p50, "ms"), ("p99", p99, "ms"), ("throughput", per_second, "items/s"))
        for other in ways[1:]
    ]


def _way(engine: Engine, plan: Plan, clients: int, *, hot: bool) -> Way:
    own = [] if hot else [[engine.opened() for _ in range(BILLS_OF_A_CLIENT)] for _ in range(clients)]

    def run() -> Sample:
        bills = own or [[engine.opened()]] * clients
        return load.run(engine.port, clients, engine.adding(bills), SECONDS)

    return Way(engine.NAME, run)


def _closes(plan: Plan, ours: Engine, peers: list[Engine]) -> list[Figure]:
    """Each closes a bill of so many lines in turn; medians."""
    took: dict[str, list[float]] = {engine.NAME: [] for engine in (ours, *peers)}
    for _ in range(plan.rounds(CLOSES)):
        for engine in (ours, *peers):
            bill = engine.filled(LINES)
            began = time.perf_counter()
            engine.close(bill)
            took[engine.NAME].append((time.perf_counter() - began) * 1000)
    medians = {name: statistics.median(values) for name, values in took.items()}
    what = f"close of {LINES:,} lines"
    return [Figure(what, medians[ours.NAME], "ms", peer.NAME, medians[peer.NAME]) for peer in peers]
