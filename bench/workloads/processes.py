"""One process against two: of the web, and of the worker."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench.support import lives, load, month
from bench.support.bills import SystemBills
from bench.support.figures import Figure, Plan, no_more_than
from bench.support.load import Sample
from bench.support.measures import Way, compared, in_turns, p99, per_second
from bench.support.settled import settle
from bench.support.stack import SYSTEM, Stack

TITLE = "Scaling: one process against two"

CLIENTS, BILLS_OF_A_CLIENT = 16, 4
ENDED_WITHIN_S = 600.0
# Room for the workflows to start before their end comes.
STARTED_PER_S = 12
NONE = no_more_than(0)


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    plan.notes.append(
        "web, worker, PostgreSQL, Temporal and the load share this machine's cores: where there are two of them, one "
        "web process leaves them to the others, and a second can add at most what is left"
    )
    return [*_webs(stack, plan), *_workers(stack, plan)]


def _webs(stack: Stack, plan: Plan) -> list[Figure]:
    stack.children["system"].stop()
    for count in (1, 2):
        stack.web(f"web{count}", *SYSTEM, environment={"WEB_CONCURRENCY": str(count)})
    bills = SystemBills(stack)
    stack.ports["system"] = stack.ports["web2"]
    opened = [bills.opened(BILLS_OF_A_CLIENT) for _ in range(CLIENTS)]
    one, two = (Way(f"{count} web", _adding(stack, plan, f"web{count}", bills, opened)) for count in (1, 2))
    in_turns([one, two], plan.rounds(6))
    return [
        compared(f"2 web processes, {CLIENTS} clients: throughput", two, one, per_second, "items/s"),
        compared(f"2 web processes, {CLIENTS} clients: p99", two, one, p99, "ms"),
    ]


def _adding(stack: Stack, plan: Plan, web: str, bills: SystemBills, opened: list[list[str]]) -> Callable[[], Sample]:
    def run() -> Sample:
        sample = load.run(stack.ports[web], CLIENTS, bills.adding(opened), plan.seconds(4))
        settle(stack)
        return sample

    return run


def _workers(stack: Stack, plan: Plan) -> list[Figure]:
    """A month's end of so many bills: until all are closed, and until all their workflows have ended."""
    bills = 60 if plan.quick else 1_000
    took: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    wrong = 0
    for number in range(plan.rounds(2)):
        for count in (1, 2) if number % 2 else (2, 1):
            if count == 2:
                stack.program("worker2", ["-m", "workflows.worker"])
            ours = month.ending_in(15 + bills / STARTED_PER_S, f"month-{number}-{count}", bills)
            month.load(stack.database, ours)
            lives.start(stack.database, stack.environment["TEMPORAL_ADDRESS"], ours)
            closed_s = month.closed_after_s(stack.database, ours, ENDED_WITHIN_S)
            took[count].append((closed_s, month.finished_after_s(stack.database, ours, ENDED_WITHIN_S)))
            facts = month.facts(stack.database, ours)
            wrong += facts.not_once + facts.missing_numbers
            if count == 2:
                stack.children["worker2"].stop()
    closed, ended = ({count: statistics.median(one[n] for one in took[count]) for count in took} for n in (0, 1))
    of_them = f"2 workers, {bills:,} bills of one end"
    return [
        Figure(f"{of_them}: lag of the last one closed", closed[2], "s", "1 worker", closed[1]),
        Figure(f"{of_them}: until all workflows ended", ended[2], "s", "1 worker", ended[1]),
        Figure("bills without exactly one closing, or numbers missing", wrong, "bills", aim=NONE),
    ]
