"""What the web process says to workflows goes on, whatever becomes of the questions beside it."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine
from temporalio.service import RPCError

from billing.bill import Bill
from billing.ledger import bills, reads
from billing.origin import by_the_system
from billing.settings import Settings
from tests.support.ledger import OpenBill
from tests.support.stopwatch import stopwatch
from tests.workflows.conftest import serving
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


def test_one_workflow_that_does_not_answer_keeps_no_other_from_being_asked(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    """As one that is stuck, however often. Two of them mean that there is no worker: then nobody waits for a while."""
    workflows = BillWorkflows(settings)

    def closed_within_s(bill: Bill) -> float:
        with stopwatch() as took:
            workflows.close(bill, wait_s=1)
        return took.s

    def wished() -> Bill:
        return bills.request_close(engine, by_the_system("test"), open_bill().id).bill

    alone, other = wished(), wished()

    async def while_a_worker_serves() -> None:
        async with serving(settings, engine):
            await asyncio.to_thread(workflows.close, other, 20)

    assert closed_within_s(alone) >= 1
    assert closed_within_s(alone) >= 1
    asyncio.run(while_a_worker_serves())
    assert reads.bill(engine, other.id).is_closed
    assert closed_within_s(wished()) >= 1
    assert closed_within_s(wished()) >= 1
    assert closed_within_s(wished()) < 1
