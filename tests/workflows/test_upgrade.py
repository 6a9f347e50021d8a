"""A changed workflow and the runs that are on their way: what breaks without a guard, and what goes on with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker
from temporalio.workflow import NondeterminismError

from billing.ledger import bills, line_items
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.workflows.conftest import serving, state_when
from tests.workflows.upgraded import Deprecated, Patched, Unguarded, announce
from workflows.activities import BillActivities
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import figures_of
from workflows.telling import start


@pytest.fixture
def before(engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill) -> WorkflowHistory:
    """Of a bill that took an item and was closed by the workflow as it is."""

    async def recorded() -> WorkflowHistory:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            bill, _, _ = line_items.add(engine, origin, opened.id, draft())
            await handle.signal(BillWorkflow.accrued, figures_of(bill))
            bills.request_close(engine, origin, opened.id)
            await handle.execute_update(BillWorkflow.close)
            await handle.result()
            return await handle.fetch_history()

    return asyncio.run(recorded())


def test_a_change_without_a_guard_breaks_runs_that_are_past_it(before: WorkflowHistory) -> None:
    replay(before, BillWorkflow)

    with pytest.raises(NondeterminismError):
        replay(before, Unguarded)


def test_a_change_with_a_guard_leaves_them_as_they_were(before: WorkflowHistory) -> None:
    replay(before, Patched)


def test_a_guard_taken_away_too_early_breaks_them(before: WorkflowHistory) -> None:
    with pytest.raises(NondeterminismError):
        replay(before, Deprecated)


def test_a_run_begun_before_the_change_ends_with_it_and_with_what_follows(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> WorkflowHistory:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            await state_when(handle, lambda state: state.recorded_version == opened.version)
        async with upgraded(settings, engine) as client:
            handle = client.get_workflow_handle_for(BillWorkflow.run, opened.workflow_id)
            bill, _, _ = line_items.add(engine, origin, opened.id, draft())
            await handle.signal(BillWorkflow.accrued, figures_of(bill))
            bills.request_close(engine, origin, opened.id)
            closed = await handle.execute_update(BillWorkflow.close)
            await handle.result()
            assert (closed.status, closed.totals) == ("closed", {"GEL": "3.6"})
            return await handle.fetch_history()

    history = asyncio.run(scenario())

    activities = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    assert "announce" in activities
    assert any(event.HasField("marker_recorded_event_attributes") for event in history.events)
    replay(history, Patched)
    replay(history, Deprecated)
    with pytest.raises(NondeterminismError):
        replay(history, BillWorkflow)  # nor is there a way back


@asynccontextmanager
async def upgraded(settings: Settings, engine: Engine) -> AsyncIterator[Client]:
    client = await connect(settings)
    with ThreadPoolExecutor(4) as executor:
        async with Worker(
            client,
            task_queue=settings.temporal_task_queue,
            workflows=[Patched],
            activities=[*BillActivities(engine, samples=True).all(), announce],
            activity_executor=executor,
        ):
            yield client


def replay(history: WorkflowHistory, version: type) -> None:
    replayer = Replayer(workflows=[version], data_converter=pydantic_data_converter)
    asyncio.run(replayer.replay_workflow(history))
