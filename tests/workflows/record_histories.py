"""Records the histories that every later version of the workflow must still replay.

    .venv/bin/python -m pytest tests/workflows/record_histories.py

A changed workflow gets new recordings beside the old ones, under a new name, and keeps replaying the old.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine
from temporalio.client import Client, WorkflowHistory

from billing.bill import Bill
from billing.ledger import bills, closing, line_items, requests
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.workflows.conftest import serving, state_when
from workflows.bill import BillWorkflow
from workflows.messages import BillLife, figures_of
from workflows.telling import start, tell_the_last

HISTORIES = Path(__file__).with_name("histories")


def test_record_a_bill_closed_by_hand(engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            for _ in range(3):
                bill, _, _ = line_items.add(engine, origin, opened.id, draft())
                await handle.signal(BillWorkflow.accrued, figures_of(bill))
                await state_when(handle, lambda s, bill=bill: s.recorded_version == bill.version)  # type: ignore[misc]
            stored = requests.store(engine, origin, opened.id, draft())
            await handle.signal(BillWorkflow.add_line_items, str(stored.id))
            await state_when(handle, lambda s: s.figures.item_count == 4)
            longer = bills.change_period(engine, origin, opened.id, opened.period.end + timedelta(days=1)).bill
            await handle.signal(BillWorkflow.period_changed, figures_of(longer))
            await handle.execute_update(BillWorkflow.close)  # not wished yet: stays open
            bills.request_close(engine, origin, opened.id)
            await handle.execute_update(BillWorkflow.close)
            await handle.result()
            await record(client, opened.workflow_id, "closed_by_hand")

    asyncio.run(scenario())


def test_record_a_workflow_started_after_its_bill_was_closed(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        bills.request_close(engine, origin, opened.id)
        closing.close_bill(engine, origin, opened.id, samples=False)
        async with serving(settings, engine) as client:
            await (await start(client, settings.temporal_task_queue, figures_of(opened))).result()
            await record(client, opened.workflow_id, "started_late")

    asyncio.run(scenario())


def test_record_a_bill_closed_by_its_timer(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    async def scenario() -> None:
        opened = open_bill(ends_in=timedelta(seconds=1))
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            await asyncio.wait_for(handle.result(), 60)
            await record(client, opened.workflow_id, "closed_by_timer")

    asyncio.run(scenario())


def test_record_a_bill_that_continued_as_new(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await client.start_workflow(
                BillWorkflow.run,
                BillLife(figures_of(opened), longest_history=30),
                id=opened.workflow_id,
                task_queue=settings.temporal_task_queue,
            )
            run_id = handle.result_run_id
            for _ in range(10):
                bill, _, _ = line_items.add(engine, origin, opened.id, draft())
                await handle.signal(BillWorkflow.accrued, figures_of(bill))
                await state_when(handle, lambda s, bill=bill: s.recorded_version == bill.version)  # type: ignore[misc]
            await record(client, opened.workflow_id, "continued_as_new", run_id)

    asyncio.run(scenario())


def test_record_a_workflow_told_that_its_bill_is_closed(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            await state_when(handle, lambda s: s.recorded_version == 1)
            bills.request_close(engine, origin, opened.id)
            closed = closing.close_bill(engine, origin, opened.id, samples=False)
            assert isinstance(closed, Bill)
            await tell_the_last(client, settings.temporal_task_queue, figures_of(closed))
            await record(client, opened.workflow_id, "told_the_last")

    asyncio.run(scenario())


# told_the_last_by_before.json was recorded in the same way, the worker being of the version before there was
# `recorded` in what it is told: it recorded by itself what it heard.


async def record(client: Client, workflow_id: str, name: str, run_id: str | None = None) -> None:
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    (HISTORIES / f"{name}.json").write_text(_without_whereabouts(history) + "\n")


def _without_whereabouts(history: WorkflowHistory) -> str:
    """Workers name themselves, and their own queues, by process and host."""
    return re.sub(r'"\d+@[^"]+"', '"recorded"', json.dumps(json.loads(history.to_json()), indent=1))
