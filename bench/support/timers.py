"""One Temporal timer per bill alone: how late the last of them closes its bill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from temporalio.client import Client

from bench.support.lives import some_at_once
from bench.support.month import Month
from bench.support.stack import Stack
from bench.support.timer_workflow import TASK_QUEUE, Ending, TimerBill


def start(stack: Stack, bills: Sequence[str], end: datetime) -> None:
    """A workflow for each, and the worker that carries them out, on the plain database."""
    stack.program("timers", ["-m", "bench.support.timer_workflow"], {"DATABASE_URL": stack.urls["plain"]})
    asyncio.run(_start(stack.environment["TEMPORAL_ADDRESS"], [Ending(bill, end.timestamp()) for bill in bills]))


def lag_s(stack: Stack, month: Month, within_s: float) -> float:
    """From the end until the last bill is closed."""
    deadline = time.monotonic() + within_s + (month.end - datetime.now(month.end.tzinfo)).total_seconds()
    while True:
        lag, left = stack.plain.execute(LEFT, {"name": month.name, "end": month.end}).fetchone() or (0.0, 0)
        if not left:
            return float(lag)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} bills had not been closed by their timers after {within_s} s")
        time.sleep(0.1)


LEFT = """
    SELECT extract(epoch FROM clock_timestamp() - %(end)s), count(*)
    FROM bills b JOIN customers c ON c.id = b.customer_id
    WHERE c.external_id = %(name)s AND b.status <> 'closed'
"""


async def _start(address: str, endings: Sequence[Ending]) -> None:
    client = await Client.connect(address)

    async def one(ending: Ending) -> None:
        await client.start_workflow(TimerBill.run, ending, id=f"timer-{ending.bill_id}", task_queue=TASK_QUEUE)

    await some_at_once(one, endings)
