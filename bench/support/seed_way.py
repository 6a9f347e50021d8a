"""The seed's way, the handler's half: ask the bill's workflow whether it is open, signal the item, answer.

The answer leaves before the row is stored. Served like the floor: `bench.support.seed_way:create_app()`.
"""

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine
from typing import Any

from flask import Flask, request
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from bench.support.seed_workflow import TASK_QUEUE, Item, SeedBill

PATIENCE_S = 60


class Loop:
    """The client isn't thread-safe and doesn't survive a fork: one loop thread, made at first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None

    def wait_for(self, asked: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(PATIENCE_S)

    async def client(self) -> Client:
        if self._client is None:
            self._client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
        return self._client


def create_app() -> Flask:
    app = Flask(__name__)
    loop = Loop()

    @app.post("/bills/<bill_id>/open")
    def open_bill(bill_id: str) -> dict[str, str]:
        loop.wait_for(_start(loop, bill_id))
        return {"id": bill_id}

    @app.post("/bills/<bill_id>/line-items")
    def add_line_item(bill_id: str) -> dict[str, str]:
        asked = request.get_json()
        values = (asked["description"], asked["currency"], asked["quantity"], asked["unit_price"])
        item = Item(str(uuid.uuid4()), bill_id, *values)
        loop.wait_for(_add(loop, bill_id, item))
        return {"id": item.id}

    @app.get("/healthz")
    def live() -> str:
        return "ok"

    return app


async def _start(loop: Loop, bill_id: str) -> None:
    await (await loop.client()).start_workflow(
        SeedBill.run,
        bill_id,
        id=f"seed-{bill_id}",
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def _add(loop: Loop, bill_id: str, item: Item) -> None:
    handle = (await loop.client()).get_workflow_handle(f"seed-{bill_id}")
    if await handle.query(SeedBill.status) == "open":
        await handle.signal(SeedBill.add_line_item, item)
