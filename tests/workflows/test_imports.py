"""The workflow of an import on a real Temporal server: started by the sweep, in turns, again where it was ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, text
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from billing.ledger import import_reports, importing, imports, reads
from billing.ledger.imports import Import
from billing.origin import Origin
from billing.settings import Settings
from tests.support.imports import row, stored
from tests.support.ledger import OFFERED, OpenBill
from tests.workflows.test_webhooks import eventually
from workflows import import_worker, starting_imports
from workflows.connection import connect
from workflows.import_worker import task_queue
from workflows.imports import Imported, ImportLife, ImportWorkflow
from workflows.sweep import Sweep


@asynccontextmanager
async def serving(settings: Settings, engine: Engine) -> AsyncIterator[Client]:
    """A worker and what of the sweep is about imports."""
    client = await connect(settings)
    sweep = Sweep(engine, settings, lambda: client)

    async def again() -> None:
        while True:
            await sweep.start_imports()
            await asyncio.sleep(0.1)

    async with import_worker.import_worker(client, settings, engine):
        sweeping = asyncio.create_task(again())
        yield client
        sweeping.cancel()


def is_done(engine: Engine, one: Import) -> bool:
    return imports.by_id(engine, one.id).state == "done"


def test_an_import_is_carried_out_and_its_workflow_ends(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    bill = open_bill()

    async def scenario() -> None:
        one = stored(engine, origin, [row()] * 2_500, bill.id)
        async with serving(settings, engine) as client:
            await eventually(lambda: is_done(engine, one))
            handle = client.get_workflow_handle(f"import-{one.id}")
            await asyncio.wait_for(handle.result(), 20)
            history = await handle.fetch_history()
        # Ids alone: what rows say is customers' business.
        assert b"hung" not in history.to_json().encode()

    asyncio.run(scenario())
    assert reads.bill(engine, bill.id).item_count == 2_500


def test_one_whose_workflow_was_ended_goes_on_where_it_was(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting_imports, "AGAIN_AFTER_S", 0.5)
    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", 10)
    monkeypatch.setattr(import_worker, "ROUND_S", 0.2)
    bill = open_bill()

    async def scenario() -> None:
        one = stored(engine, origin, [row()] * 300, bill.id)
        async with serving(settings, engine) as client:
            await eventually(lambda: imports.by_id(engine, one.id).added >= 20)
            await client.get_workflow_handle(f"import-{one.id}").terminate()
            await eventually(lambda: is_done(engine, one))

    asyncio.run(scenario())
    assert reads.bill(engine, bill.id).item_count == 300


def test_a_short_import_needn_t_wait_for_long_ones(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More long ones than are served at once: they take turns."""
    monkeypatch.setattr(import_worker, "ROUND_S", 0.2)
    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", 5)
    long = [stored(engine, origin, [row()] * 1_500, open_bill().id) for _ in range(3)]

    async def scenario() -> None:
        async with serving(settings, engine):
            await eventually(lambda: sum(imports.by_id(engine, one.id).added > 0 for one in long) == 3)
            short = stored(engine, origin, [row()], open_bill().id)
            await eventually(lambda: is_done(engine, short))
            assert not any(is_done(engine, one) for one in long)
            for one in long:
                imports.cancel(engine, origin, one.id)

    asyncio.run(scenario())


def test_an_activity_that_was_given_up_and_its_repeat_decide_no_row_twice(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", 7)
    bill = open_bill()
    one = stored(engine, origin, [row()] * 200, bill.id)

    async def scenario() -> None:
        def all_of_it() -> int:
            decided = 0
            while not (step := importing.take_some(engine, one.id, OFFERED)).is_over:
                decided += step.rows
            return decided

        both = await asyncio.gather(asyncio.to_thread(all_of_it), asyncio.to_thread(all_of_it))
        assert sum(both) == 200

    asyncio.run(scenario())
    assert reads.bill(engine, bill.id).item_count == 200
    (report,) = import_reports.rows(engine, imports.by_id(engine, one.id))
    items = [reported.item_id for reported in report]
    assert len(set(items)) == 200
    with engine.connect() as connection:
        query = text("SELECT id FROM line_items WHERE bill_id = :id ORDER BY position")
        assert connection.execute(query, {"id": bill.id}).scalars().all() == items


def test_in_the_sandbox_it_continues_as_new_before_its_history_is_long(settings: Settings) -> None:
    rounds = 0

    @activity.defn(name="import_rows")
    async def take(import_id: str) -> Imported:
        nonlocal rounds
        rounds += 1
        return Imported(1, is_over=rounds == 8)

    async def scenario() -> None:
        client = await connect(settings)
        async with Worker(
            client,
            task_queue=task_queue(settings.temporal_task_queue),
            workflows=[ImportWorkflow],
            activities=[take],
            workflow_runner=SandboxedWorkflowRunner(),
        ):
            life = ImportLife("an import", longest_history=10)
            handle = await client.start_workflow(
                ImportWorkflow.run, life, id=f"import-{settings.temporal_task_queue}",
                task_queue=task_queue(settings.temporal_task_queue),
            )  # fmt: skip
            await asyncio.wait_for(handle.result(), 30)
            first = await client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).describe()
            assert first.status == WorkflowExecutionStatus.CONTINUED_AS_NEW

    asyncio.run(scenario())
    assert rounds == 8
