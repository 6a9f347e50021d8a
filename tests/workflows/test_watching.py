"""The continuous comparison keeps what differs and lasts; one stuck workflow is named with its cause, others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from billing.bill import Bill
from billing.ledger import epochs, findings, line_items, progress
from billing.ledger.consistency import OF_WORKFLOWS, Kind
from billing.ledger.database import transaction
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.workflows.conftest import BillHandle, serving, state_when
from tests.workflows.upgraded import Unguarded, announce
from workflows import asking, reconciling, watching
from workflows.activities import BillActivities
from workflows.asking import Said, ask
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.explanations import EXPLANATIONS
from workflows.messages import BillFigures, Heard, figures_of
from workflows.reconciling import REPAIRABLE, Reconciler
from workflows.repairing import repair_bill
from workflows.telling import start
from workflows.watching import Watch

UNREADABLE = {"this": "is no life of a bill"}


@pytest.fixture(autouse=True)
def _only_this_tests_bills(engine: Engine) -> Iterator[None]:
    yield
    with transaction(engine) as connection:
        connection.execute(
            text("TRUNCATE bills, events, line_items, bill_subtotals, bill_workflows, findings, ledger_epochs CASCADE")
        )
        connection.execute(text("UPDATE counters SET last_value = 0"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 0.0)


async def looked(settings: Settings, engine: Engine, client: Client | None) -> dict[UUID | None, set[Kind]]:
    """What is found in a round that is due now."""
    with transaction(engine) as connection:
        connection.execute(text("UPDATE reconciler SET due_at = now(), ledger_due_at = now()"))
    await Watch(engine, settings.temporal_task_queue).round(client)
    found: dict[UUID | None, set[Kind]] = {}
    for finding in findings.still_open(engine, after=None, limit=100):
        found.setdefault(finding.bill_id, set()).add(finding.kind)
    return found


async def running(client: Client, settings: Settings, bill: Bill) -> BillHandle:
    handle = await start(client, settings.temporal_task_queue, figures_of(bill))
    await state_when(handle, lambda s: s.recorded_version == bill.version)
    return handle


async def stuck(client: Client, settings: Settings, engine: Engine, bill: Bill) -> None:
    """A workflow whose input nobody can read, and whose task was tried and tried."""
    await client.start_workflow(
        "BillWorkflow", UNREADABLE, id=bill.workflow_id, task_queue=settings.temporal_task_queue
    )
    async with asyncio.timeout(60):
        # Until its third attempt it is only silent.
        while (await looked(settings, engine, client)).get(bill.id) != {Kind.WEDGED}:
            await asyncio.sleep(0.3)


def test_a_stuck_workflow_is_named_with_its_cause_and_started_anew_while_all_others_go_on(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        bad, good = open_bill(), open_bill()
        async with serving(settings, engine) as client:
            handle = await running(client, settings, good)
            await stuck(client, settings, engine, bad)
            assert await looked(settings, engine, client) == {bad.id: {Kind.WEDGED}}
            (finding,) = findings.still_open(engine, after=None, limit=10)
            assert "its task has failed" in finding.cause
            assert "life" in finding.cause or "decod" in finding.cause, finding.cause
            # The bill itself takes items and the other one's workflow hears of its own.
            added = line_items.add(engine, origin, bad.id, draft())[0]
            other = line_items.add(engine, origin, good.id, draft())[0]
            await handle.signal("accrued", figures_of(other))
            await state_when(handle, lambda s: s.figures.version == other.version)

            queue = settings.temporal_task_queue
            assert await repair_bill(client, engine, queue, bad.id, "ann")
            assert await repair_bill(client, engine, queue, bad.id, "ann")

            assert await looked(settings, engine, client) == {}
            assert finding.id in {resolved.id for resolved in findings.resolved(engine, limit=10)}
            assert progress.heard(engine, bad.id).version == added.version

    asyncio.run(scenario())


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that doesn't answer isn't waited for as long. One that is merely slow is silent for a round then."""
    monkeypatch.setattr(asking, "ANSWER_WAIT_S", 2.0)


@pytest.mark.usefixtures("hurried")
def test_a_workflow_that_does_not_fit_changed_code_is_named_with_its_cause_and_started_anew(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        past_the_change, before_it = open_bill(), open_bill()
        async with serving(settings, engine) as client:
            handle = await running(client, settings, past_the_change)
            other = await running(client, settings, before_it)
            # It is told that the end lies ahead, and lives on with that in its history.
            assert (await handle.execute_update(BillWorkflow.close)).status == "open"
        async with serving_other(settings, [Unguarded], [*BillActivities(engine, samples=True).all(), announce]):
            added = line_items.add(engine, origin, past_the_change.id, draft())[0]
            await handle.signal("accrued", figures_of(added))
            await found_to_be(Kind.WEDGED, past_the_change, settings, engine, client)
            (finding,) = findings.still_open(engine, after=None, limit=10)
            assert "ondetermini" in finding.cause, finding.cause
            newest = line_items.add(engine, origin, before_it.id, draft())[0]
            await other.signal("accrued", figures_of(newest))
            await state_when(other, lambda state: state.recorded_version == newest.version)

            assert await repair_bill(client, engine, settings.temporal_task_queue, past_the_change.id, "ann")

            await nothing_is_found(settings, engine, client)
            assert progress.heard(engine, past_the_change.id).version == added.version

    asyncio.run(scenario())


def test_an_activity_that_keeps_failing_is_named_with_its_cause_until_it_works(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FAILING_FROM_ATTEMPT", 3)
    is_full = True

    @activity.defn(name="record_heard")
    def recording(heard: Heard) -> BillFigures | None:
        if is_full:
            raise ApplicationError("the disk is full")
        return BillActivities(engine, samples=True).record_heard(heard)

    async def scenario() -> None:
        nonlocal is_full
        bill = open_bill()
        async with serving_other(settings, [BillWorkflow], [recording]) as client:
            await start(client, settings.temporal_task_queue, figures_of(bill))
            await found_to_be(Kind.FAILING, bill, settings, engine, client)
            (finding,) = findings.still_open(engine, after=None, limit=10)
            assert "its activity record_heard has failed" in finding.cause
            assert "the disk is full" in finding.cause
            is_full = False
            await nothing_is_found(settings, engine, client)

    asyncio.run(scenario())


@pytest.mark.usefixtures("hurried")
def test_a_workflow_that_nobody_serves_is_silent_while_others_answer_and_is_started_where_it_is_served(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        unserved, served = open_bill(), open_bill()
        async with serving(settings, engine) as client:
            await running(client, settings, served)
            await start(client, f"nobody-{uuid4().hex}", figures_of(unserved))
            await found_to_be(Kind.SILENT, unserved, settings, engine, client)

            assert await repair_bill(client, engine, settings.temporal_task_queue, unserved.id, "ann")

            await nothing_is_found(settings, engine, client)

    asyncio.run(scenario())


@pytest.mark.usefixtures("hurried")
def test_where_no_workflow_answers_it_is_the_worker_and_no_bill_is_blamed(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        client = await connect(settings)
        for bill in (open_bill(), open_bill()):
            await start(client, settings.temporal_task_queue, figures_of(bill))
        assert await looked(settings, engine, client) == {}

    asyncio.run(scenario())


async def found_to_be(kind: Kind, bill: Bill, settings: Settings, engine: Engine, client: Client) -> None:
    """In one of the next rounds, and no other bill with it."""
    async with asyncio.timeout(60):
        while await looked(settings, engine, client) != {bill.id: {kind}}:
            await asyncio.sleep(0.3)


async def nothing_is_found(settings: Settings, engine: Engine, client: Client) -> None:
    """In one of the next rounds."""
    async with asyncio.timeout(60):
        while await looked(settings, engine, client):
            await asyncio.sleep(0.3)


@asynccontextmanager
async def serving_other(settings: Settings, workflows: list[type], activities: list[Any]) -> AsyncIterator[Client]:
    """As `serving`, with other code."""
    client = await connect(settings)
    with ThreadPoolExecutor(4) as executor:
        async with Worker(
            client,
            task_queue=settings.temporal_task_queue,
            workflows=workflows,
            activities=activities,
            activity_executor=executor,
        ):
            yield client


def test_a_workflow_that_follows_a_busy_bill_is_not_found_behind(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signals are a moment late whenever it is looked at: that is no difference that lasts."""
    since = 1_000.0
    monkeypatch.setattr(watching, "PATIENCE_S", 60.0)
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: since))

    async def scenario() -> None:
        nonlocal since
        bill = open_bill()
        watch = Watch(engine, settings.temporal_task_queue)

        async def look(client: Client) -> int:
            with transaction(engine) as connection:
                connection.execute(text("UPDATE reconciler SET due_at = now(), ledger_due_at = now() + '1 hour'"))
            await watch.round(client)
            return findings.count_open(engine)

        async with serving(settings, engine) as client:
            handle = await running(client, settings, bill)
            for _ in range(4):
                newest = line_items.add(engine, origin, bill.id, draft())[0]
                assert await look(client) == 0
                since += 50
                await handle.signal("accrued", figures_of(newest))
                await state_when(handle, lambda s, newest=newest: s.recorded_version == newest.version)
            # It is up to date once, and what was seen before that counts no more.
            assert await look(client) == 0
            since += 50
            line_items.add(engine, origin, bill.id, draft())
            assert await look(client) == 0
            since += 61
            assert await look(client) == 1

    asyncio.run(scenario())


def test_a_round_belongs_to_one_worker(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    async def scenario() -> None:
        bill = open_bill()
        with transaction(engine) as connection:
            connection.execute(text("UPDATE bills SET item_count = 7 WHERE id = :id"), {"id": bill.id})
        assert await looked(settings, engine, None) == {bill.id: {Kind.COUNTS}}
        with transaction(engine) as connection:
            connection.execute(text("DELETE FROM findings"))
        await Watch(engine, settings.temporal_task_queue).round(None)
        assert findings.count_open(engine) == 0

    asyncio.run(scenario())


def test_laps_come_to_every_bill(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ROLLING", 2)

    async def scenario() -> None:
        opened = [open_bill() for _ in range(5)]
        with transaction(engine) as connection:
            connection.execute(text("UPDATE bills SET item_count = 7"))
        for _ in range(3):
            found = await looked(settings, engine, None)
        assert found == {bill.id: {Kind.COUNTS} for bill in opened}

    asyncio.run(scenario())


def test_a_workflow_that_knows_more_is_aligned_and_what_it_knew_is_kept(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        bill = open_bill()
        ahead = line_items.add(engine, origin, bill.id, draft())[0]
        async with serving(settings, engine) as client:
            handle = await running(client, settings, ahead)
            restored_to(engine, bill)
            assert await looked(settings, engine, client) == {bill.id: {Kind.AHEAD}}

            assert await repair_bill(client, engine, settings.temporal_task_queue, bill.id, "ann")

            state = await state_when(handle, lambda s: s.recorded_version == bill.version)
            assert (state.figures.epoch, state.figures.version, state.figures.totals) == (1, 1, {})
            (loss,) = epochs.losses(engine)
            assert loss.acknowledged.version == ahead.version
            assert loss.acknowledged.totals == figures_of(ahead).totals
            # What an earlier epoch says late is heard no more; newer versions of this one are.
            await handle.signal("accrued", figures_of(ahead))
            later = line_items.add(engine, origin, bill.id, draft())[0]
            await handle.signal("accrued", figures_of(later, epoch=1))
            await state_when(handle, lambda s: s.recorded_version == later.version)
            assert await looked(settings, engine, client) == {}

    asyncio.run(scenario())


def test_an_epoch_that_begins_while_workflows_are_asked_puts_none_ahead(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bill = open_bill()
        async with serving(settings, engine) as client:
            handle = await running(client, settings, bill)

            async def asked_meanwhile(client: Client, workflow_id: str) -> Said:
                epochs.begin(engine, "ann", [])
                await handle.signal("accrued", figures_of(bill, epoch=1))
                await state_when(handle, lambda s: s.figures.epoch == 1)
                return await ask(client, workflow_id)

            monkeypatch.setattr(reconciling, "ask", asked_meanwhile)
            looked = await Reconciler(client, engine, settings.temporal_task_queue).look([bill])
            assert [suspect.difference for suspect in looked.suspects] == []

    asyncio.run(scenario())


def restored_to(engine: Engine, bill: Bill) -> None:
    """As a restore leaves the rows of a bill that had nothing on it."""
    with transaction(engine) as connection:
        for statement in (
            "UPDATE bills SET version = 1, item_count = 0 WHERE id = :id",
            "UPDATE bill_workflows SET heard_version = 1 WHERE bill_id = :id",
            "DELETE FROM line_items WHERE bill_id = :id",
            "DELETE FROM bill_subtotals WHERE bill_id = :id",
            "DELETE FROM events WHERE subject_id = :id AND version > 1",
        ):
            connection.execute(text(statement), {"id": bill.id})


def test_a_workflow_without_a_bill_is_found_and_ended(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    async def scenario() -> None:
        bill = open_bill()
        async with serving(settings, engine) as client:
            handle = await running(client, settings, bill)
            with transaction(engine) as connection:
                for table in ("bill_workflows WHERE bill_id", "events WHERE subject_id", "bills WHERE id"):
                    connection.execute(text(f"DELETE FROM {table} = :id"), {"id": bill.id})
            async with asyncio.timeout(30):
                # What is listed follows what is running by a moment.
                while (found := await looked(settings, engine, client)) != {bill.id: {Kind.NO_BILL}}:
                    assert not found
                    await asyncio.sleep(0.2)

            assert await repair_bill(client, engine, settings.temporal_task_queue, bill.id, "ann")

            assert (await handle.describe()).status.name == "TERMINATED"  # type: ignore[union-attr]
            assert [loss.stored_version for loss in epochs.losses(engine)] == [None]
            assert await looked(settings, engine, client) == {}

    asyncio.run(scenario())


def test_a_late_record_of_a_ledger_that_is_gone_changes_nothing(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    progress.record_heard(engine, bill.id, 9, finished=True)
    assert progress.heard(engine, bill.id) == progress.Heard(1, finished=False)
    known = epochs.Acknowledged(bill.id, "open", 9, 8, {"GEL": "28.8"}, 41)
    begun = epochs.begin(engine, "ann", [known], last_number=41, heard_epoch=6)
    assert (begun.epoch, begun.numbers) == (7, (1, 41))
    assert epochs.last_number(engine) == 41
    line_items.add(engine, origin, bill.id, draft())
    progress.record_heard(engine, bill.id, 2, epoch=6)
    assert progress.heard(engine, bill.id).version == 0
    progress.record_heard(engine, bill.id, 2, epoch=7)
    assert progress.heard(engine, bill.id).version == 2
    again = epochs.begin(engine, "ann", [], last_number=uuid4().int % 41)
    assert (again.epoch, again.numbers, epochs.last_number(engine)) == (8, None, 41)


def test_every_kind_of_difference_is_explained() -> None:
    assert EXPLANATIONS.keys() == set(Kind)


def test_every_difference_of_a_workflow_can_be_repaired_and_none_of_what_is_stored() -> None:
    """docs/operations.md says what to do about the others."""
    repairable = {kind for kind, explanation in EXPLANATIONS.items() if explanation.repair}

    assert repairable == {*OF_WORKFLOWS, Kind.NO_BILL} == REPAIRABLE


def test_a_wish_that_the_restored_ledger_does_not_know_is_asked_for_once(
    engine: Engine, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        bill = open_bill()
        wished = replace(figures_of(bill), version=5, status="closing")
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, wished)
            await state_when(handle, lambda s: s.recorded_version == 5)
            assert progress.heard(engine, bill.id).version == bill.version
            assert await looked(settings, engine, client) == {bill.id: {Kind.AHEAD}}
            assert await repair_bill(client, engine, settings.temporal_task_queue, bill.id, "ann")
            await state_when(handle, lambda s: s.recorded_version == bill.version)
            history = await handle.fetch_history()
        asked = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
        assert asked.count("close_bill") == 1

    asyncio.run(scenario())
