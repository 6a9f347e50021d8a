"""Bills' workflows seen from outside: started by name as the web does when a bill is opened, and counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from bench.support.month import Month

TASK_QUEUE = "billing"
AT_ONCE = 32
# As new workflows have it.
TIMERS_SPREAD_S = 1_800
STARTED_WITHIN_S = 900
ABOUT = timedelta(milliseconds=1)

FIGURES = """
    SELECT b.id::text, b.customer_id::text, b.status, b.version, b.item_count,
           (SELECT jsonb_object_agg(currency, trim_scale(subtotal)::text) FROM bill_subtotals WHERE bill_id = b.id),
           b.period_end
    FROM bills b JOIN customers c ON c.id = b.customer_id WHERE c.external_id = %(name)s ORDER BY b.id
"""


def start(database: psycopg.Connection, address: str, month: Month) -> float:
    """Starts a workflow for each of the month's bills; returns once all have run their first task, with the seconds
    that took."""
    began = time.monotonic()
    rows = database.execute(FIGURES, {"name": month.name}).fetchall()
    asyncio.run(_start(address, [_life(row) for row in rows]))
    while running(address, month.end) < month.bills:
        if time.monotonic() - began > STARTED_WITHIN_S:
            raise RuntimeError(f"workflows had not begun after {STARTED_WITHIN_S} s")
        time.sleep(0.5)
    return time.monotonic() - began


def running(address: str, end: datetime) -> int:
    """How many workflows of bills with that end have begun and run, by Temporal's list, which follows by seconds."""
    # Equality finds none of an instant with microseconds on SQLite.
    after, before = ((end + way * ABOUT).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for way in (-1, 1))
    query = f"""WorkflowType = 'BillWorkflow' AND ExecutionStatus = 'Running'
                AND PeriodEnd > '{after}' AND PeriodEnd < '{before}'"""

    async def count() -> int:
        return (await (await Client.connect(address)).count_workflows(query)).count

    return asyncio.run(count())


async def _start(address: str, lives: Sequence[dict[str, Any]]) -> None:
    client = await Client.connect(address)

    async def one(life: dict[str, Any]) -> None:
        await client.start_workflow(
            "BillWorkflow",
            life,
            id=f"bill-{life['figures']['bill_id']}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    await some_at_once(one, lives)


async def some_at_once(work: Callable[[Any], Awaitable[None]], todo: Sequence[Any]) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def bounded(one: Any) -> None:
        async with free:
            await work(one)

    await asyncio.gather(*(bounded(one) for one in todo))


def _life(row: tuple[Any, ...]) -> dict[str, Any]:
    """The input as the system itself would have written it."""
    names = ("bill_id", "customer_id", "status", "version", "item_count", "totals", "period_end")
    figures = dict(zip(names, row, strict=True))
    return {
        "recorded_version": figures["version"],
        "figures": {**figures, "period_end": figures["period_end"].isoformat()},
        "timers_spread_s": TIMERS_SPREAD_S,
    }
