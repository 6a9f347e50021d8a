"""The life of a bill on the real Temporal server: it hears, it wakes at the end, it closes, it continues as new."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from billing.bill import Bill, CloseReason
from billing.ledger import bills, closing, line_items, progress, reads, requests
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft, keyed
from tests.support.visitor import PASSWORD, Visitor
from tests.workflows.conftest import BillHandle, move_clock, serving, state_when
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import user_changes
from webapp.identity.roles import Role
from workflows.bill import BillWorkflow
from workflows.messages import BillLife, figures_of
from workflows.news import Notice
from workflows.telling import start, tell


async def started(client: Client, settings: Settings, bill: Bill, **life: int) -> BillHandle:
    if not life:
        return await start(client, settings.temporal_task_queue, figures_of(bill))
    return await client.start_workflow(
        BillWorkflow.run,
        BillLife(figures_of(bill), **life),
        id=bill.workflow_id,
        task_queue=settings.temporal_task_queue,
    )


def test_hears_the_newest_version_whatever_the_order(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        versions = [line_items.add(engine, origin, opened.id, draft())[0] for _ in range(3)]
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            for bill in (versions[2], versions[0], versions[1], versions[2]):
                await handle.signal(BillWorkflow.accrued, figures_of(bill))
            state = await state_when(handle, lambda s: s.recorded_version == 4)
            assert state.figures.totals == {"GEL": "10.8"}
            assert progress.heard(engine, opened.id) == progress.Heard(4, finished=False)

    asyncio.run(scenario())


def test_closes_when_asked_and_ends_once_the_ledger_knows(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            bills.request_close(engine, origin, opened.id)
            figures = await handle.execute_update(BillWorkflow.close)
            assert figures.is_closed
            assert reads.bill(engine, opened.id).is_closed
            assert (await handle.result()).version == reads.bill(engine, opened.id).version
            assert progress.heard(engine, opened.id).finished

    asyncio.run(scenario())


def test_started_from_news_of_long_ago_it_learns_that_the_bill_is_closed(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        bills.request_close(engine, origin, opened.id)
        closed = closing.close_bill(engine, origin, opened.id, samples=False)
        assert isinstance(closed, Bill)
        async with serving(settings, engine) as client:
            figures = await (await started(client, settings, opened)).result()
            assert (figures.status, figures.version) == ("closed", closed.version)
            assert progress.heard(engine, opened.id) == progress.Heard(closed.version, finished=True)

    asyncio.run(scenario())


def test_late_news_of_the_opening_revives_no_workflow(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        bills.request_close(engine, origin, opened.id)
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            await handle.result()
            run_id = (await handle.describe()).run_id
            late = Notice(str(opened.id), figures_of(opened), start=True, just_opened=True)
            await tell(client, settings.temporal_task_queue, late)
            assert (await client.get_workflow_handle(opened.workflow_id).describe()).run_id == run_id

    asyncio.run(scenario())


def test_asked_to_close_what_nobody_wished_closed_it_says_that_it_is_open(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            assert not (await handle.execute_update(BillWorkflow.close)).is_closed
            assert reads.bill(engine, opened.id).is_open

    asyncio.run(scenario())


def test_carries_out_stored_requests(engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill) -> None:
    async def scenario() -> None:
        opened = open_bill()
        stored = [requests.store(engine, origin, opened.id, draft()).id for _ in range(120)]
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            for request_id in [*stored, *stored]:
                await handle.signal(BillWorkflow.add_line_items, str(request_id))
            await state_when(handle, lambda s: s.figures.item_count == 120)
        assert {requests.read(engine, opened.id, id_).state for id_ in stored} == {"added"}
        assert reads.bill(engine, opened.id).item_count == 120

    asyncio.run(scenario())


def test_signals_that_name_no_stored_request_do_it_no_harm(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        stored = requests.store(engine, origin, opened.id, draft())
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            for named in ("nonsense", str(uuid4()), str(stored.id)):
                await handle.signal(BillWorkflow.add_line_items, named)
            await state_when(handle, lambda s: s.figures.item_count == 1)
            bills.request_close(engine, origin, opened.id)
            assert (await handle.execute_update(BillWorkflow.close)).is_closed

    asyncio.run(scenario())


def test_requests_pending_when_the_closing_is_wished_get_their_answer(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        stored = [requests.store(engine, origin, opened.id, draft()).id for _ in range(5)]
        bills.request_close(engine, origin, opened.id)
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            for request_id in stored:
                await handle.signal(BillWorkflow.add_line_items, str(request_id))
            await handle.execute_update(BillWorkflow.close)
            await handle.result()
        assert {requests.read(engine, opened.id, id_).state for id_ in stored} == {"rejected"}
        assert reads.bill(engine, opened.id).item_count == 0

    asyncio.run(scenario())


def test_two_months_with_an_extension_pass(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    """Sixty days, ten more added on the way: open until the new end, closed at it, with it as the cut-off."""

    async def scenario() -> None:
        opened = open_bill(ends_in=timedelta(days=60))
        async with serving(settings, engine) as plain:
            skipper = TimeSkipper(plain, config=TimeSkippingConfig(enabled=False))
            handle = await started(skipper.client, settings, opened)
            line_items.add(engine, origin, opened.id, draft())

            move_clock(engine, timedelta(days=45))
            await skipper.fast_forward(handle, timedelta(days=45))
            longer = bills.change_period(engine, origin, opened.id, opened.period.end + timedelta(days=10)).bill
            await handle.signal(BillWorkflow.period_changed, figures_of(longer))
            await state_when(handle, lambda s: s.figures.period_end == longer.period.end)

            move_clock(engine, timedelta(days=65))
            await skipper.fast_forward(handle, timedelta(days=20))
            line_items.add(engine, origin, opened.id, draft())
            assert reads.bill(engine, opened.id).is_open

            move_clock(engine, timedelta(days=70, minutes=1))
            await skipper.fast_forward(handle, timedelta(days=6))
            figures = await asyncio.wait_for(handle.result(), 30)
        closed = reads.bill(engine, opened.id)
        assert (closed.close_reason, closed.effective_at) == (CloseReason.PERIOD_END, longer.period.end)
        assert (figures.version, figures.item_count, figures.totals) == (closed.version, 2, {"GEL": "7.2"})

    try:
        asyncio.run(scenario())
    finally:
        move_clock(engine, timedelta(0))


def test_a_timer_that_is_early_asks_again(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    """The workflow's clock says that the end has come, the database's that it has not: the database's counts."""

    async def scenario() -> None:
        opened = open_bill(ends_in=timedelta(days=2))
        async with serving(settings, engine) as plain:
            skipper = TimeSkipper(plain, config=TimeSkippingConfig(enabled=False))
            handle = await started(skipper.client, settings, opened)
            await skipper.fast_forward(handle, timedelta(days=3))
            state = await state_when(
                handle, lambda s: s.next_timer is not None and s.next_timer > opened.period.end + timedelta(days=1)
            )
            assert reads.bill(engine, opened.id).is_open
            assert not state.figures.is_closed

    asyncio.run(scenario())


def test_ten_thousand_accruals_across_several_runs(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        with ThreadPoolExecutor(8) as pool:
            versions = list(pool.map(lambda _: line_items.add(engine, origin, opened.id, draft())[0], range(10_000)))
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            limit = asyncio.Semaphore(64)

            async def tell(bill: Bill) -> None:
                async with limit:
                    await handle.signal(BillWorkflow.accrued, figures_of(bill))

            in_order = sorted(versions, key=lambda bill: bill.version)
            for wave in range(0, 10_000, 2_500):
                # Longer each than a run's history may be; a slow worker would otherwise find all of them in one.
                told = in_order[wave : wave + 2_500]
                await asyncio.gather(*(tell(bill) for bill in told))
                newest = told[-1].version
                state = await state_when(handle, lambda s, newest=newest: s.recorded_version == newest, wait_s=120)  # type: ignore[misc]
            assert (state.figures.item_count, state.figures.totals) == (10_000, {"GEL": "36000"})
            assert state.figures == figures_of(reads.bill(engine, opened.id))
            assert "36,000" in page_of(settings, engine, opened)
            runs = await runs_when_listed(client, opened, at_least=4)
            assert all(run.history_length < 10_000 for run in runs)
            bills.request_close(engine, origin, opened.id)
            assert (await handle.execute_update(BillWorkflow.close)).is_closed

    asyncio.run(scenario())


def page_of(settings: Settings, engine: Engine, bill: Bill) -> str:
    """The bill's page as staff read it."""
    app = create_app(Config(settings, secret_key="a secret of the tests"))
    email = f"{uuid4().hex}@example.com"
    user_changes.create(engine, email=email, password=PASSWORD, role=Role.VIEWER)
    visitor = Visitor(app.test_client()).signed_in(email)
    visitor.open(f"/bills/{bill.id}")
    app.extensions["pave"].close()
    return visitor.answer.text


async def runs_when_listed(client: Client, bill: Bill, *, at_least: int) -> list[WorkflowExecution]:
    """The runs of a bill's workflow; lists of workflows follow what happened by some seconds."""
    runs: list[WorkflowExecution] = []
    for _ in range(100):
        runs = [run async for run in client.list_workflows(f"WorkflowId = '{bill.workflow_id}'")]
        if len(runs) >= at_least:
            break
        await asyncio.sleep(0.2)
    assert len(runs) >= at_least
    return runs


def test_what_it_holds_stays_small_across_runs(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened, longest_history=40)
            for _ in range(60):
                bill, _, _ = line_items.add(engine, origin, opened.id, draft())
                await handle.signal(BillWorkflow.accrued, figures_of(bill))
            await state_when(handle, lambda s: s.recorded_version == 61)
            newest = client.get_workflow_handle(opened.workflow_id)
            first_event = (await newest.fetch_history()).events[0]
            started_with = first_event.workflow_execution_started_event_attributes
            assert started_with.continued_execution_run_id
            assert len(started_with.input.payloads[0].data) < 2_048

    asyncio.run(scenario())


def test_of_a_bill_that_is_unknown_it_fails_and_wedges_nothing(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        figures = figures_of(open_bill())
        figures.bill_id = str(uuid4())
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures)
            with pytest.raises(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 30)

    asyncio.run(scenario())


def test_an_asynchronous_and_a_direct_add_with_one_key_are_one_item(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened, asking = open_bill(), keyed(origin)
        stored = requests.store(engine, asking, opened.id, draft())
        async with serving(settings, engine) as client:
            handle = await started(client, settings, opened)
            await handle.signal(BillWorkflow.add_line_items, str(stored.id))
            direct = await asyncio.to_thread(line_items.add, engine, asking, opened.id, draft())
            await state_when(handle, lambda s: s.figures.item_count == 1)
        assert requests.read(engine, opened.id, stored.id).item_id == direct[1].id

    asyncio.run(scenario())
