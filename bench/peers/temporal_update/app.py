"""The handlers of the Temporal peer: each waits for an update of the bill's workflow."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask
from temporalio.client import WorkflowHandle

from bench.peers import ledger
from bench.peers.handlers import app_with, connection
from bench.peers.temporal_update.workflow import TASK_QUEUE, PeerBill
from bench.support.seed_way import Loop


def create_app() -> Flask:
    loop = Loop()

    async def handle(bill_id: str) -> WorkflowHandle:
        return (await loop.client()).get_workflow_handle_for(PeerBill.run, f"peer-{bill_id}")

    def opened() -> str:
        bill_id = ledger.open_bill(connection())
        loop.wait_for(_start(loop, bill_id))
        return bill_id

    def add(bill_id: str, key: str, item: Mapping[str, str]) -> dict[str, str]:
        async def update() -> dict[str, str]:
            return await (await handle(bill_id)).execute_update(PeerBill.add, args=[key, dict(item)], id=key)

        return loop.wait_for(update())

    def close(bill_id: str) -> dict[str, str]:
        async def update() -> dict[str, str]:
            return await (await handle(bill_id)).execute_update(PeerBill.close)

        return loop.wait_for(update())

    return app_with(opened=opened, add=add, close=close)


async def _start(loop: Loop, bill_id: str) -> None:
    client = await loop.client()
    await client.start_workflow(PeerBill.run, bill_id, id=f"peer-{bill_id}", task_queue=TASK_QUEUE)
