"""How the workflows of closed bills end: told the last figures by the sweep, with one task and no activity."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus

from billing.bill import Bill
from billing.errors import Unavailable
from billing.ledger import bills, closing, line_items, progress, reads
from billing.ledger.database import transaction
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.workflows.conftest import BillHandle, serving, state_when
from workflows import catching_up
from workflows.bill import BillWorkflow
from workflows.catching_up import CatchingUp
from workflows.messages import figures_of
from workflows.news import Notice
from workflows.telling import start, tell_the_last

AT_ONCE = timedelta(0)


def closed(engine: Engine, origin: Origin, bill: Bill) -> Bill:
    """By the ledger alone, as the sweep does."""
    bills.request_close(engine, origin, bill.id)
    outcome = closing.close_bill(engine, origin, bill.id, samples=True)
    assert isinstance(outcome, Bill)
    return outcome


async def activities_of(handle: BillHandle) -> int:
    events = (await handle.fetch_history()).events
    return sum(event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED for event in events)


def test_told_the_last_figures_it_ends_with_them_and_needs_no_activity(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(opened))
            await state_when(handle, lambda s: s.recorded_version == 1)
            line_items.add(engine, origin, opened.id, draft())
            last = figures_of(closed(engine, origin, opened))
            has_ended = await asyncio.wait_for(tell_the_last(client, settings.temporal_task_queue, last), 30)
            assert has_ended
            assert await handle.result() == last
            assert await activities_of(handle) == 1

    asyncio.run(scenario())


def test_one_that_never_ran_is_started_for_it_and_told_again_it_is_not_started_again(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        last = figures_of(closed(engine, origin, open_bill()))
        async with serving(settings, engine) as client:
            handle = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{last.bill_id}")
            runs = []
            for _ in range(2):
                assert await asyncio.wait_for(tell_the_last(client, settings.temporal_task_queue, last), 30)
                runs.append((await handle.describe()).run_id)
            assert runs[0] == runs[1]
            assert await handle.result() == last
            assert await activities_of(handle) == 0

    asyncio.run(scenario())


def test_one_that_ended_with_what_is_no_longer_true_is_started_again(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    """As after the ledger was restored from before."""

    async def scenario() -> None:
        last = figures_of(closed(engine, origin, open_bill()))
        lost = replace(last, version=last.version + 5)
        async with serving(settings, engine) as client:
            assert await asyncio.wait_for(tell_the_last(client, settings.temporal_task_queue, lost), 30)
            assert await asyncio.wait_for(tell_the_last(client, settings.temporal_task_queue, last), 30)
            handle = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{last.bill_id}")
            assert await handle.result() == last

    asyncio.run(scenario())


def test_a_month_of_closed_bills_ends_and_is_recorded(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catching_up, "ENDINGS_RECORDED_AT_ONCE", 4)

    async def scenario() -> None:
        opened = [open_bill() for _ in range(10)]
        async with serving(settings, engine) as client:
            handles = [await start(client, settings.temporal_task_queue, figures_of(bill)) for bill in opened]
            for handle in handles:
                await state_when(handle, lambda s: s.recorded_version == 1)
            last = [closed(engine, origin, bill) for bill in opened]
            assert not await CatchingUp(engine, settings.temporal_task_queue).round(client, AT_ONCE)
            for bill, handle in zip(last, handles, strict=True):
                heard = progress.heard(engine, bill.id)
                assert (heard.version, heard.finished) == (bill.version, True)
                assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

    asyncio.run(scenario())


def test_one_whose_workflow_did_not_end_is_not_recorded_and_keeps_no_other_waiting(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wedged workflow stays visible as one that has not finished."""
    monkeypatch.setattr(catching_up, "END_WAIT_S", 3.0)

    async def scenario() -> None:
        wedged, sound = closed(engine, origin, open_bill()), closed(engine, origin, open_bill())
        async with serving(settings, engine) as client:
            await client.start_workflow(
                "NobodysWorkflow", id=wedged.workflow_id, task_queue=settings.temporal_task_queue
            )
            await CatchingUp(engine, settings.temporal_task_queue).round(client, AT_ONCE)
            assert not progress.heard(engine, wedged.id).finished
            assert progress.heard(engine, sound.id).finished
            await client.get_workflow_handle(wedged.workflow_id).terminate()

    asyncio.run(scenario())


def test_a_bill_that_cannot_be_told_keeps_none_behind_it_waiting(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def refused(_client: object, _queue: str, notice: Notice) -> None:
        asked.append(notice.bill_id)
        raise RuntimeError("this one can't be told")

    monkeypatch.setattr(catching_up, "BATCH", 1)
    monkeypatch.setattr(catching_up, "tell", refused)
    monkeypatch.setattr(catching_up, "END_WAIT_S", 0.1)
    behind = {str(open_bill().id) for _ in range(3)}

    async def scenario() -> None:
        async with serving(settings, engine) as client:
            rounds = CatchingUp(engine, settings.temporal_task_queue)
            # Bills of other tests may be behind too.
            for _ in range(30):
                with suppress(RuntimeError):
                    await rounds.round(client, AT_ONCE)
                if behind <= set(asked):
                    break

    asyncio.run(scenario())
    assert behind <= set(asked)


def test_what_one_worker_tells_another_passes_over(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    ended = {closed(engine, origin, open_bill()).id for _ in range(6)}

    def claimed(limit: int) -> progress.Behind:
        return progress.claim_behind(engine, quiet_for=AT_ONCE, limit=limit)

    first = claimed(4)
    second = claimed(1_000)
    theirs, ours = ({bill.id for bill in one.bills} for one in (first, second))
    assert len(theirs) == 4
    assert not theirs & ours
    assert ended <= theirs | ours
    second.release()
    first.release()
    third = claimed(1_000)
    assert ended <= {bill.id for bill in third.bills}
    third.release()


def test_one_look_goes_through_a_stretch_and_the_next_goes_on_behind_it(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOKED_THROUGH", 3)
    opened = [open_bill() for _ in range(10)]
    for bill in opened[:-1]:
        progress.record_heard(engine, bill.id, bill.version)
    found: set[UUID] = set()
    after, looks = None, 0
    while looks == 0 or after is not None:
        look = progress.claim_behind(engine, quiet_for=AT_ONCE, limit=1_000, after=after)
        look.release()
        assert len(look.bills) <= 3
        found |= {bill.id for bill in look.bills}
        after, looks = look.go_on_after, looks + 1
    assert found & {bill.id for bill in opened} == {opened[-1].id}
    assert looks >= 4


def test_where_more_are_behind_than_are_claimed_the_next_look_goes_on_behind_those(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    """Those that another worker has claimed among them."""
    ended = {closed(engine, origin, open_bill()).id for _ in range(12)}
    told: set[UUID] = set()
    claims, after = [progress.claim_behind(engine, quiet_for=AT_ONCE, limit=8)], None
    told |= {bill.id for bill in claims[0].bills}
    for _ in range(100):
        claims.append(progress.claim_behind(engine, quiet_for=AT_ONCE, limit=2, after=after))
        told |= {bill.id for bill in claims[-1].bills}
        after = claims[-1].go_on_after
        if after is None:
            break
        claims.pop().release()
    for claim in claims:
        claim.release()
    assert ended <= told


def test_a_look_is_paused_for_twenty_times_as_long_as_it_took_and_never_for_long(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []

    def look(_engine: Engine, **_: object) -> progress.Behind:
        began.append(time.monotonic())
        time.sleep(0.05)
        if len(began) == 4:
            raise Unavailable
        return progress.Behind([], None, lambda: None)

    monkeypatch.setattr(progress, "claim_behind", look)

    async def scenario() -> None:
        rounds = CatchingUp(engine, settings.temporal_task_queue)
        for _ in range(2):
            assert not await rounds.round(cast("Client", None), AT_ONCE)
        monkeypatch.setattr(catching_up, "REST_AFTER_A_LOOK", 1_000)
        monkeypatch.setattr(catching_up, "LONGEST_REST_S", 0.2)
        for _ in range(3):
            with suppress(Unavailable):
                assert not await rounds.round(cast("Client", None), AT_ONCE)

    asyncio.run(scenario())
    waited = [then - before for before, then in pairwise(began)]
    assert waited[0] >= 20 * 0.05
    # After the third the rest is the longest, and after one that failed there is none.
    assert 0.2 <= waited[2] < 1_000 * 0.05
    assert waited[3] < 1_000 * 0.05


def test_nobody_who_adds_waits_for_a_claim(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    claim = progress.claim_behind(engine, quiet_for=AT_ONCE, limit=1_000)
    assert opened.id in {bill.id for bill in claim.bills}
    line_items.add(engine, origin, opened.id, draft())
    progress.record_heard(engine, opened.id, 2)
    claim.release()
    assert reads.bill(engine, opened.id).item_count == 1


def test_no_table_is_kept_from_being_altered_while_a_claim_lasts(engine: Engine, open_bill: OpenBill) -> None:
    opened = open_bill()
    claim = progress.claim_behind(engine, quiet_for=AT_ONCE, limit=1_000)
    assert opened.id in {bill.id for bill in claim.bills}
    with transaction(engine) as connection:
        connection.execute(text("LOCK TABLE bills, bill_workflows IN ACCESS EXCLUSIVE MODE"))
    claim.release()


def test_the_end_of_a_bill_that_is_open_is_not_recorded(engine: Engine, open_bill: OpenBill) -> None:
    opened = open_bill()
    progress.record_ended(engine, {opened.id: 1}, epoch=0)
    assert not progress.heard(engine, opened.id).finished
