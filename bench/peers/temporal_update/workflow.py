"""A bill whose workflow takes every item as an update and stores it by an activity. `python -m ...workflow`: worker."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.peers import ledger
    from bench.peers.handlers import connection

TASK_QUEUE = "peer-bills"
SHORT = {"start_to_close_timeout": timedelta(seconds=15), "retry_policy": RetryPolicy()}
ITEMS_A_RUN = 500


@activity.defn
def add_item(bill_id: str, key: str, item: dict[str, str]) -> dict[str, str]:
    try:
        return ledger.add(connection(), bill_id, key, item)
    except ledger.Refused as refused:
        raise ApplicationError("refused", non_retryable=True) from refused


@activity.defn
def close_bill(bill_id: str) -> dict[str, str]:
    return ledger.close(connection(), bill_id)


@workflow.defn
class PeerBill:
    @workflow.init
    def __init__(self, bill_id: str) -> None:
        self._bill_id = bill_id
        self._closed = False
        self._taken = 0

    @workflow.run
    async def run(self, bill_id: str) -> None:
        await workflow.wait_condition(lambda: self._closed or self._taken >= ITEMS_A_RUN)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._closed:
            workflow.continue_as_new(bill_id)

    @workflow.update
    async def add(self, key: str, item: dict[str, str]) -> dict[str, str]:
        self._taken += 1
        return await workflow.execute_activity(add_item, args=[self._bill_id, key, item], **SHORT)

    @workflow.update
    async def close(self) -> dict[str, str]:
        payable = await workflow.execute_activity(close_bill, self._bill_id, **SHORT)
        self._closed = True
        return payable


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    with ThreadPoolExecutor(16) as threads:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[PeerBill],
            activities=[add_item, close_bill],
            activity_executor=threads,
            max_concurrent_activities=16,
        ).run()


if __name__ == "__main__":
    asyncio.run(main())
