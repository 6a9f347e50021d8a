"""Records the histories that every later version of the workflow must still replay.

    .venv/bin/python -m pytest tests/workflows/record_histories.py

A changed workflow gets new recordings beside the old ones, under a new name, and keeps replaying the old.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import Worker

from billing.bill import Bill
from billing.ledger import bills, closing, line_items, requests
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.workflows.conftest import serving, state_when
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.imports import Imported, ImportLife, ImportWorkflow
from workflows.messages import BillLife, figures_of
from workflows.telling import start, tell_the_last
from workflows.webhooks import Delivered, WebhookLife, WebhookWorkflow

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


def test_record_a_webhook_endpoint_woken_and_over(settings: Settings) -> None:
    answers = [Delivered(3, 1, 0.2), Delivered(1), Delivered(0, 0, 0.0), Delivered(is_over=True)]

    async def scenario(client: Client, handle: WorkflowHandle[WebhookWorkflow, None]) -> None:
        while len(answers) > 2:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        await handle.signal(WebhookWorkflow.wake)
        await handle.result()
        await record(client, handle.id, "webhooks/woken_and_over")

    asyncio.run(with_answers(settings, answers, scenario))


def test_record_a_webhook_endpoint_continued_as_new(settings: Settings) -> None:
    async def scenario(client: Client, handle: WorkflowHandle[WebhookWorkflow, None]) -> None:
        await handle.result()
        await record(client, handle.id, "webhooks/continued_as_new", handle.first_execution_run_id)

    answers = [*(Delivered(1, 0, 0.0) for _ in range(6)), Delivered(is_over=True)]
    asyncio.run(with_answers(settings, answers, scenario))


async def with_answers(
    settings: Settings,
    answers: list[Delivered],
    scenario: Callable[[Client, WorkflowHandle[WebhookWorkflow, None]], Awaitable[None]],
) -> None:
    """A run of a few rounds, whose rounds answer so."""

    @activity.defn(name="deliver_webhooks")
    async def deliver(_endpoint_id: str) -> Delivered:
        return answers.pop(0)

    client, queue = await connect(settings), settings.temporal_task_queue
    async with Worker(client, task_queue=queue, workflows=[WebhookWorkflow], activities=[deliver]):
        life = WebhookLife("0199aaaa-0000-7000-8000-000000000000", longest_history=20)
        handle = await client.start_workflow(
            WebhookWorkflow.run, life, id=f"webhook-{queue}", task_queue=queue, start_signal="wake"
        )
        await scenario(client, handle)


def test_record_an_import_that_continued_as_new(settings: Settings) -> None:
    """Both of its runs: one that makes room, one that ends."""
    answers = [*(Imported(1_000) for _ in range(6)), Imported(is_over=True)]

    @activity.defn(name="import_rows")
    async def import_rows(_import_id: str) -> Imported:
        return answers.pop(0)

    async def scenario() -> None:
        client, queue = await connect(settings), settings.temporal_task_queue
        async with Worker(client, task_queue=queue, workflows=[ImportWorkflow], activities=[import_rows]):
            life = ImportLife("0199aaaa-0000-7000-8000-000000000000", longest_history=20)
            handle = await client.start_workflow(ImportWorkflow.run, life, id=f"import-{queue}", task_queue=queue)
            await handle.result()
            await record(client, handle.id, "imports/continued_as_new", handle.first_execution_run_id)
            await record(client, handle.id, "imports/over")

    asyncio.run(scenario())


# told_the_last_by_before.json was recorded in the same way, the worker being of the version before there was
# `recorded` in what it is told: it recorded by itself what it heard.


async def record(client: Client, workflow_id: str, name: str, run_id: str | None = None) -> None:
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    (HISTORIES / f"{name}.json").write_text(_without_whereabouts(history) + "\n")


def _without_whereabouts(history: WorkflowHistory) -> str:
    """Workers name themselves, and their own queues, by process and host."""
    return re.sub(r'"\d+@[^"]+"', '"recorded"', json.dumps(json.loads(history.to_json()), indent=1))
