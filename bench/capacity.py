"""What so many bills come to: rows, gigabytes, processors, Temporal's actions, the month's end.

    .venv/bin/python -m bench.capacity                         # 10,000 to 10 million bills, 20 items each a month
    .venv/bin/python -m bench.capacity --bills 250000 --items 400
    .venv/bin/python -m bench.capacity --measure               # sizes and closing measured anew, on its own database

A calculation, not a promise: it multiplies what was measured on one machine, and leaves out what was not, such as
caches that no longer hold the tables' newest parts, and networks between machines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import click

SECONDS_A_MONTH = 30 * 86_400
GB = 1_000_000_000
# A process has one interpreter, which one core keeps busy; this much of it before answers wait for each other.
BUSY = 0.6


@dataclass(frozen=True, slots=True)
class Costs:
    """What one thing costs. Bytes are with indexes, of rows as the ledger writes them (`--measure`).

    Processor times in ms: `web_add_ms` of Python and gunicorn and `postgres_add_ms` (bench/processor_time.py),
    `worker_told_ms` and `temporal_told_ms` of a workflow that hears of a change (docs/decisions/0006-signals.md).
    `closed_per_s`: bills that one worker's sweep closes in its batches. `temporal_timer_ms`, `worker_timer_ms`: of a
    workflow that is woken by its own timer instead (docs/decisions/0016-month-end-and-start.md).
    """

    bytes_per_bill: Mapping[str, float] = field(default_factory=lambda: dict(BYTES_PER_BILL))
    bytes_per_item: Mapping[str, float] = field(default_factory=lambda: dict(BYTES_PER_ITEM))
    web_add_ms: float = 1.43 + 0.55
    postgres_add_ms: float = 0.69
    worker_told_ms: float = 10.0
    temporal_told_ms: float = 20.0
    closed_per_s: float = 1_400.0
    temporal_timer_ms: float = 45.0
    worker_timer_ms: float = 29.0


# Measured by --measure: 200 bills of a customer each, with 20 items, added one by one with a key each, all closed.
BYTES_PER_BILL = {"bills": 1638, "bill_subtotals": 369, "bill_workflows": 328, "customers": 1147, "events": 1213}
BYTES_PER_ITEM = {"line_items": 246, "idempotency_keys": 303, "events": 404}

# What Temporal counts as actions in the life of a bill that closes at its end (docs.temporal.io/cloud/actions): the
# start, its search attributes then and when it is closed, its timer, and the sweep's news that it is.
ACTIONS_PER_BILL = 1 + 2 + 1 + 1
# News of items: a signal, and the activity that records that it was heard.
ACTIONS_PER_NEWS = 2
# Of those, what falls to a bill's end: the news, and the search attributes.
ACTIONS_AT_ITS_END = 2
# Workflows of closed bills that a worker lets end (docs/decisions/0016-month-end-and-start.md): so many at once, and in
# a second at most. What one takes is assumed: some calls to a Temporal that is a network away.
ENDED_AT_ONCE, ENDED_PER_S_AT_MOST, ENDED_AFTER_S = 4, 60, 0.1
ENDED_PER_S = min(ENDED_PER_S_AT_MOST, round(ENDED_AT_ONCE / ENDED_AFTER_S))
# Over which the timers of bills of one end are spread: the net below the sweep (workflows/messages.py).
TIMERS_SPREAD_S = 1_800
# Signals that a web process sends at most (workflows/news.py).
NEWS_PER_S = 5
# Temporal Cloud's for a namespace that nobody raised (docs.temporal.io/cloud/limits).
NAMESPACE_APS = 400


@dataclass(frozen=True, slots=True)
class Load:
    """`peak` is the busiest second's items over those of an average one. `merged`: items that one piece of news covers;
    a bill whose items come one by one, minutes apart, has 1. `at_once`: the share of bills that end in one second.
    """

    bills: int
    items: float = 20.0
    peak: float = 10.0
    merged: float = 1.0
    at_once: float = 1.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Cores are busy ones at the peak; processes leave room above that. GB are added each month."""

    rows_a_month: float
    gb_a_month: float
    items_per_s: float
    peak_items_per_s: float
    web_cores: float
    web_processes: int
    news_processes: int
    postgres_cores: float
    connections: int
    news_per_s: float
    worker_cores: float
    worker_processes: int
    temporal_cores: float
    actions_per_s: float
    namespaces: int
    month_end_s: float
    workflows_end_h: float
    timers_per_s: float
    woken_first: float
    timers_temporal_cores: float
    timers_worker_cores: float


POOL_SIZE = 40
TEST_POOL_SIZE = 10
EVENTS_PER_BILL = 3


def capacity(load: Load, costs: Costs) -> Capacity:
    items_a_month = load.bills * load.items
    items_per_s = items_a_month / SECONDS_A_MONTH
    peak = items_per_s * load.peak
    news_per_s = items_per_s / load.merged
    actions = (load.bills * ACTIONS_PER_BILL + items_a_month / load.merged * ACTIONS_PER_NEWS) / SECONDS_A_MONTH
    web_cores = peak * costs.web_add_ms / 1000
    worker_cores = news_per_s * costs.worker_told_ms / 1000
    web_processes = _processes(web_cores)
    news_processes = max(web_processes, math.ceil(news_per_s / NEWS_PER_S))
    ending, ended_per_s = load.bills * load.at_once, _ended_per_s(_processes(worker_cores))
    timers_per_s = ending / TIMERS_SPREAD_S
    return Capacity(
        rows_a_month=_rows(load),
        gb_a_month=_bytes(load, costs) / GB,
        items_per_s=items_per_s,
        peak_items_per_s=peak,
        web_cores=web_cores,
        web_processes=web_processes,
        news_processes=news_processes,
        postgres_cores=peak * costs.postgres_add_ms / 1000,
        connections=(news_processes + _processes(worker_cores)) * (POOL_SIZE + TEST_POOL_SIZE),
        news_per_s=news_per_s,
        worker_cores=worker_cores,
        worker_processes=_processes(worker_cores),
        temporal_cores=news_per_s * costs.temporal_told_ms / 1000,
        actions_per_s=actions,
        namespaces=max(1, math.ceil(actions / NAMESPACE_APS)),
        month_end_s=ending / costs.closed_per_s,
        workflows_end_h=ending / ended_per_s / 3600,
        timers_per_s=timers_per_s,
        woken_first=_woken_first(ending, ended_per_s),
        timers_temporal_cores=timers_per_s * costs.temporal_timer_ms / 1000,
        timers_worker_cores=timers_per_s * costs.worker_timer_ms / 1000,
    )


def _rows(load: Load) -> float:
    """A bill with its subtotal and what its workflow heard, its events, and three rows an item: itself, key, event."""
    return load.bills * (3 + EVENTS_PER_BILL + load.items * 3)


def _bytes(load: Load, costs: Costs) -> float:
    per_bill = sum(costs.bytes_per_bill.values())
    per_item = sum(costs.bytes_per_item.values())
    return load.bills * (per_bill + load.items * per_item)


def _ended_per_s(workers: int) -> float:
    return min(workers * ENDED_PER_S, NAMESPACE_APS / ACTIONS_AT_ITS_END)


def _woken_first(ending: float, ended_per_s: float) -> float:
    """The share of workflows that their own timer wakes before the sweep lets them end.

    Those that are left after t seconds are (T - t) * (ending / T - ended_per_s * ln(T / (T - t))), T being the spread:
    the sweep takes so many a second, and of the others' timers an even share goes off. That is 0 at the last one's end.
    """
    spreads = ending / (ended_per_s * TIMERS_SPREAD_S)
    return 1 + math.expm1(-spreads) / spreads


def _processes(cores: float) -> int:
    """Two at least: one may end."""
    return max(2, math.ceil(cores / BUSY))


LINES: tuple[tuple[str, str], ...] = (
    ("rows a month", "{0.rows_a_month:,.0f}"),
    ("GB a month, with indexes", "{0.gb_a_month:,.1f}"),
    ("items a second, on average", "{0.items_per_s:,.1f}"),
    ("items a second, at the peak", "{0.peak_items_per_s:,.1f}"),
    ("web: cores at the peak", "{0.web_cores:,.2f}"),
    ("web: processes", "{0.web_processes:,}"),
    ("web: processes for no news to be late", "{0.news_processes:,}"),
    ("connections web and worker may open", "{0.connections:,}"),
    ("PostgreSQL: cores at the peak", "{0.postgres_cores:,.2f}"),
    ("news to workflows a second", "{0.news_per_s:,.1f}"),
    ("worker: cores", "{0.worker_cores:,.2f}"),
    ("worker: processes", "{0.worker_processes:,}"),
    ("Temporal: cores (dev server's cost)", "{0.temporal_cores:,.2f}"),
    ("Temporal: actions a second", "{0.actions_per_s:,.1f}"),
    ("namespaces at 400 actions a second", "{0.namespaces:,}"),
    ("all end in one second: closed in, s", "{0.month_end_s:,.1f}"),
    ("their workflows have ended in, by the sweep alone, h", "{0.workflows_end_h:,.2f}"),
    ("timers that go off a second, at first", "{0.timers_per_s:,.1f}"),
    ("workflows that their timer wakes first", "{0.woken_first:.0%}"),
    ("Temporal: cores for these timers", "{0.timers_temporal_cores:,.2f}"),
    ("worker: cores for these timers", "{0.timers_worker_cores:,.2f}"),
)


def table(loads: list[Load], costs: Costs) -> str:
    found = [capacity(load, costs) for load in loads]
    head = ["", *(f"{load.bills:,} bills" for load in loads)]
    rows = [[name, *(form.format(one) for one in found)] for name, form in LINES]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * len(loads)], *rows))


@click.command()
@click.option("--bills", type=int, help="Open bills; without it, four sizes beside each other.")
@click.option("--items", default=20.0, help="Items that a bill gets a month.")
@click.option("--peak", default=10.0, help="The busiest second's items over an average second's.")
@click.option("--merged", default=1.0, help="Items that one signal tells of.")
@click.option("--measure", "measured", is_flag=True, help="Measures sizes and closing first; a minute.")
def main(bills: int | None, items: float, peak: float, merged: float, measured: bool) -> None:
    """Prints what so many bills come to."""
    costs = Costs()
    if measured:
        from bench.support.row_sizes import measure  # noqa: PLC0415 - starts a PostgreSQL

        sizes = measure()
        click.echo(f"{sizes}\n")
        costs = replace(costs, **sizes.as_costs())
    sizes_asked = [bills] if bills else [10_000, 100_000, 1_000_000, 10_000_000]
    click.echo(table([Load(n, items, peak, merged) for n in sizes_asked], costs))


if __name__ == "__main__":
    main()
