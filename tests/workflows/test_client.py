"""What the web process says to workflows goes on, whatever becomes of the questions beside it."""

from __future__ import annotations

import asyncio

from temporalio.service import RPCError

from billing.bill import Bill
from billing.settings import Settings
from tests.support.ledger import OpenBill
from workflows.client import BillWorkflows
from workflows.connection import connect


def test_an_epoch_that_cannot_be_read_keeps_no_workflow_from_being_told(
    settings: Settings, open_bill: OpenBill
) -> None:
    asked = []

    def read_epoch() -> int:
        asked.append(True)
        raise RuntimeError("relation does not exist")

    workflows = BillWorkflows(settings, read_epoch)

    async def is_started(bill: Bill) -> bool:
        client = await connect(settings)
        for _ in range(60):
            # What Temporal was too slow for is left to the sweep, so it is said again.
            workflows.opened(bill)
            try:
                await client.get_workflow_handle(bill.workflow_id).describe()
            except RPCError:
                await asyncio.sleep(0.2)
            else:
                return True
        return False

    assert asyncio.run(is_started(open_bill()))
    for _ in range(50):
        if asked:
            break
        asyncio.run(asyncio.sleep(0.1))
    assert asked
    assert asyncio.run(is_started(open_bill()))
