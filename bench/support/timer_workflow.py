"""One Temporal timer per bill and nothing else: sleep until the end, then an activity closes the bill.

`python -m bench.support.timer_workflow` is its worker; the activity does for one bill what the system's closing does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import psycopg
    from temporalio.client import Client
    from temporalio.worker import Worker

TASK_QUEUE = "bench-timers"
AT_ONCE = 16


@dataclass
class Ending:
    bill_id: str
    ends_at: float  # Unix time


@workflow.defn
class TimerBill:
    @workflow.run
    async def run(self, ending: Ending) -> None:
        await workflow.sleep(max(ending.ends_at - workflow.time(), 0))
        await workflow.execute_activity(close_one, ending.bill_id, start_to_close_timeout=timedelta(seconds=30))


_kept = threading.local()


def _database() -> psycopg.Connection:
    if not hasattr(_kept, "connection"):
        _kept.connection = psycopg.connect(os.environ["DATABASE_URL"])
    return _kept.connection


@activity.defn
def close_one(bill_id: str) -> None:
    database = _database()
    with database.transaction():
        for statement in CLOSE_ONE:
            database.execute(statement, {"id": bill_id})


CLOSE_ONE = (
    "SELECT FROM bills WHERE id = %(id)s AND status = 'open' FOR NO KEY UPDATE",
    """UPDATE bill_subtotals SET payable = round(subtotal, 2), rounding = round(subtotal, 2) - subtotal, minor_units = 2
       WHERE bill_id = %(id)s""",
    """WITH taken AS (
           UPDATE counters SET last_value = last_value + 1 WHERE name = 'bill_number' RETURNING last_value),
       closed AS (
           UPDATE bills SET status = 'closed', version = version + 1, updated_at = clock_timestamp(),
                  closed_at = clock_timestamp(), effective_at = period_end, close_reason = 'period_end',
                  number = taken.last_value
           FROM taken WHERE id = %(id)s AND status = 'open' RETURNING id, version, number, closed_at)
       INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                           occurred_at, data)
       SELECT 'bill', id, version, 'bill.closed', 'system', 'timer', 'A timer', 'timer', closed_at,
              jsonb_build_object('number', number, 'close_reason', 'period_end') FROM closed""",
)


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[TimerBill],
        activities=[close_one],
        activity_executor=ThreadPoolExecutor(AT_ONCE),
        max_concurrent_activities=AT_ONCE,
    )
    serving = asyncio.create_task(worker.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        # The SDK can abort at interpreter exit after all work is done.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
