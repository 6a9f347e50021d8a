"""The seed's way, the workflow's half: every line item goes through the bill's workflow and an activity.

`python -m bench.support.seed_workflow` is its worker.
"""

import asyncio
import os
import signal
import uuid
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import psycopg
    from temporalio.client import Client
    from temporalio.worker import Worker

TASK_QUEUE = "bench-seed"


@dataclass
class Item:
    id: str
    bill_id: str
    description: str
    currency: str
    quantity: str
    unit_price: str


@workflow.defn
class SeedBill:
    def __init__(self) -> None:
        self._waiting: list[Item] = []
        self._totals: dict[str, str] = {}
        self._status = "open"

    @workflow.run
    async def run(self, _bill_id: str) -> None:
        while self._status == "open":
            await workflow.wait_condition(lambda: bool(self._waiting) or self._status != "open")
            while self._waiting:
                await self._store(self._waiting.pop(0))

    @workflow.signal
    def add_line_item(self, item: Item) -> None:
        self._waiting.append(item)

    @workflow.signal
    def close(self) -> None:
        self._status = "closed"

    @workflow.query
    def status(self) -> str:
        return self._status

    async def _store(self, item: Item) -> None:
        total = await workflow.execute_activity(store_item, item, start_to_close_timeout=timedelta(seconds=15))
        known = Decimal(self._totals.get(item.currency, "0"))
        self._totals[item.currency] = str(known + Decimal(total))


_database: list[psycopg.Connection] = []


@activity.defn
async def store_item(item: Item) -> str:
    """On the event loop and one connection: the workflow asks for one item after the other anyway."""
    if not _database:
        _database.append(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True))
    quantity, unit_price = Decimal(item.quantity), Decimal(item.unit_price)
    _database[0].execute(
        """INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                                   created_at, added_in_version)
           VALUES (%s, nextval('bench_positions'), %s, %s, %s, %s, %s, %s, clock_timestamp(), 2)
           ON CONFLICT DO NOTHING""",
        [
            item.bill_id,
            uuid.UUID(item.id),
            item.description,
            item.currency,
            quantity,
            unit_price,
            quantity * unit_price,
        ],
    )
    return str(quantity * unit_price)


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    worker = Worker(client, task_queue=TASK_QUEUE, workflows=[SeedBill], activities=[store_item])
    serving = asyncio.create_task(worker.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        # The SDK can abort at interpreter exit after all work is done.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
