"""The sweep makes good what was missed: workflows never started, versions never heard, requests never taken up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text
from structlog.testing import LogCapture
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from billing.bill import CloseReason
from billing.errors import Unavailable
from billing.ledger import (
    bills,
    closing,
    import_retention,
    line_items,
    modes,
    overview,
    progress,
    reads,
    requests,
    rollups,
    sealing,
    seals,
    webhook_backlog,
    webhook_log,
    webhook_removal,
)
from billing.ledger.engines import create_test_engine
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.support.webhooks import made_endpoint, standing
from tests.workflows.conftest import serving, state_when
from workflows import catching_up
from workflows import sweep as sweeping
from workflows.catching_up import CatchingUp
from workflows.connection import connect
from workflows.messages import figures_of
from workflows.news import Notice
from workflows.sweep import Sweep
from workflows.telling import start


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that let the quicker ways go first would only make these tests slow."""
    for name in ("WORKFLOW_PATIENCE", "REQUEST_PATIENCE", "SIGNAL_PATIENCE"):
        monkeypatch.setattr(sweeping, name, timedelta(milliseconds=200))
    monkeypatch.setattr(sweeping, "CATCH_UP_EVERY_S", 0.3)


@asynccontextmanager
async def sweeping_too(settings: Settings, engine: Engine) -> AsyncIterator[None]:
    async with serving(settings, engine) as client:
        task = asyncio.create_task(Sweep(engine, settings, lambda: client).run())
        yield
        task.cancel()


def without_temporal(settings: Settings, engine: Engine) -> asyncio.Task[None]:
    return asyncio.create_task(Sweep(engine, settings, lambda: None).run())


async def eventually(wanted: object, wait_s: float = 30) -> None:
    deadline = asyncio.get_running_loop().time() + wait_s
    while not wanted():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


def test_a_bill_without_a_workflow_gets_one(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        line_items.add(engine, origin, opened.id, draft())
        async with sweeping_too(settings, engine):
            await eventually(lambda: progress.heard(engine, opened.id).version == 2)

    asyncio.run(scenario())


def test_one_that_cannot_be_told_keeps_none_of_those_behind_it_waiting(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than are told at once, the one that fails among the first.
    refused, *others = sorted(str(open_bill().id) for _ in range(10))
    told: set[str] = set()

    async def told_but_one(client: Client, task_queue: str, notice: Notice) -> None:
        if notice.bill_id == refused:
            raise RPCError("exceeded workflow execution limit for signal events", RPCStatusCode.INVALID_ARGUMENT, b"")
        told.add(notice.bill_id)

    monkeypatch.setattr(catching_up, "tell", told_but_one)

    async def scenario() -> None:
        async with serving(settings, engine) as client:
            rounds = CatchingUp(engine, settings.temporal_task_queue)
            # Bills of other tests may be behind too.
            while await rounds.round(client, timedelta(0)):
                pass
        assert told >= set(others)

    asyncio.run(scenario())


def test_four_that_cannot_be_told_keep_none_of_those_behind_them_waiting(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are told at once; only where more can't be it is Temporal."""
    opened = [open_bill() for _ in range(5)]
    stuck = {str(bill.id) for bill in opened[:4]}
    told = []

    async def tell(_client: object, _queue: str, notice: Notice) -> None:
        if notice.bill_id in stuck:
            raise RPCError("too many signals", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
        told.append(notice.bill_id)

    monkeypatch.setattr(catching_up, "tell", tell)

    async def round_() -> None:
        client = await connect(settings)
        await CatchingUp(engine, settings.temporal_task_queue)._tell_some(client, opened, epoch=0)

    asyncio.run(round_())
    assert told == [str(opened[4].id)]
    stuck.add(told.pop())
    with pytest.raises(RPCError):
        asyncio.run(round_())


def test_what_a_workflow_has_not_heard_is_sent_again(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with sweeping_too(settings, engine):
            async with serving(settings, engine) as client:
                handle = await start(client, settings.temporal_task_queue, figures_of(opened))
                line_items.add(engine, origin, opened.id, draft())
                longer = bills.change_period(engine, origin, opened.id, opened.period.end + timedelta(days=1)).bill
                state = await state_when(handle, lambda s: s.recorded_version == 3)
            assert state.figures.period_end == longer.period.end

    asyncio.run(scenario())


def test_a_wish_is_carried_out_and_a_request_decided_without_temporal(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        wished, asked = open_bill(), open_bill()
        stored = requests.store(engine, origin, asked.id, draft())
        bills.request_close(engine, origin, wished.id)
        task = without_temporal(settings, engine)
        await eventually(lambda: reads.bill(engine, wished.id).is_closed)
        await eventually(lambda: requests.read(engine, asked.id, stored.id).state == "added")
        task.cancel()

    asyncio.run(scenario())


def test_what_is_due_closes_within_a_second_of_its_end(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    async def lateness() -> timedelta:
        # So long that a machine that pauses for a moment opens it before it ends.
        opened = open_bill(ends_in=timedelta(seconds=3))
        await eventually(lambda: reads.bill(engine, opened.id).is_closed)
        closed = reads.bill(engine, opened.id)
        assert closed.closed_at
        assert closed.close_reason is CloseReason.PERIOD_END
        return closed.closed_at - opened.period.end

    async def scenario() -> None:
        task = without_temporal(settings, engine)
        late = [await lateness()]
        while late[-1] >= timedelta(seconds=1) and len(late) < 5:
            late.append(await lateness())
        task.cancel()
        assert min(late) > timedelta(0)
        assert late[-1] < timedelta(seconds=1), late

    asyncio.run(scenario())


def test_the_workflow_of_a_bill_that_the_sweep_closed_finishes(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    async def scenario() -> None:
        opened = open_bill()
        async with sweeping_too(settings, engine):
            await eventually(lambda: progress.heard(engine, opened.id).version == 1)
            bills.request_close(engine, origin, opened.id)
            await eventually(lambda: progress.heard(engine, opened.id).finished)

    asyncio.run(scenario())


def test_a_worker_gives_signs_of_life(engine: Engine, settings: Settings) -> None:
    async def scenario() -> None:
        task = without_temporal(settings, engine)
        await eventually(lambda: progress.last_beat_age(engine) is not None)
        task.cancel()

    asyncio.run(scenario())


def test_rounds_of_test_mode_hold_up_no_live_ones(
    engine: Engine, database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many hang: they have threads of their own."""
    tried, goes_on = create_test_engine(database_url), threading.Event()

    def last_beat() -> object:
        with engine.connect() as connection:
            return connection.execute(text("SELECT max(beat_at) FROM worker_heartbeats")).scalar()

    before = last_beat()

    def hangs_in_test_mode(work: Callable[..., object]) -> Callable[..., object]:
        def does(engine: Engine, *args: object, **kwargs: object) -> object:
            if modes.is_test(engine):
                goes_on.wait(60)
            return work(engine, *args, **kwargs)

        return does

    for module, name in (
        (closing, "close_due"), (requests, "left_pending"), (rollups, "follow"), (webhook_log, "prune"),
        (webhook_removal, "clear"), (import_retention, "prune"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, hangs_in_test_mode(getattr(module, name)))
    monkeypatch.setattr(sweeping, "BEAT_EVERY_S", 0.1)

    async def scenario() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(6))
        hanging = without_temporal(settings, tried)
        await asyncio.sleep(0.5)
        live = without_temporal(settings, engine)
        try:
            await eventually(lambda: last_beat() != before, wait_s=10)
        finally:
            goes_on.set()
            for task in (hanging, live):
                task.cancel()
            await asyncio.gather(hanging, live, return_exceptions=True)

    asyncio.run(scenario())
    tried.dispose()


def test_what_fails_in_test_mode_is_no_failure_of_live_bills(
    engine: Engine, database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, failed = create_test_engine(database_url), 0

    def fails(engine: Engine) -> int:
        nonlocal failed
        failed += 1
        raise Unavailable

    def counted() -> float:
        return REGISTRY.get_sample_value("pave_sweep_rounds_total", {"round": "count", "outcome": "failed"}) or 0.0

    monkeypatch.setattr(rollups, "follow", fails)
    before = counted()

    async def scenario(ledger: Engine) -> None:
        task, already = without_temporal(settings, ledger), failed
        await eventually(lambda: failed > already)
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(scenario(tried))
    assert counted() == before
    asyncio.run(scenario(engine))
    assert counted() == before + 1
    tried.dispose()


def test_the_overviews_sums_follow_within_seconds(
    engine: Engine, origin: Origin, settings: Settings, open_bill: OpenBill
) -> None:
    def accruing() -> dict[str, str]:
        read = overview.read(engine, currency="KWD", days=1, bills=1)
        return {line.payable.currency.code: str(line.payable.amount) for line in read.accruing}

    async def scenario() -> None:
        task = without_temporal(settings, engine)
        line_items.add(engine, origin, open_bill().id, draft(quantity="1", unit_price="0.125", currency="KWD"))
        await eventually(lambda: accruing().get("KWD") == "0.125")
        await eventually(lambda: overview.standing(engine, patience=timedelta(minutes=1)).counted is not None)
        task.cancel()

    asyncio.run(scenario())


def test_what_happened_is_sealed_and_the_worker_says_so(
    engine: Engine, settings: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_bill()

    async def seal() -> float | None:
        return await Sweep(engine, settings, lambda: None).seal()

    while sealing.seal(engine):
        pass
    assert asyncio.run(seal()) is None
    before = sealing.last(engine)
    open_bill()
    said = LogCapture()
    # Whatever level and processors another test has configured.
    log = structlog.wrap_logger(None, processors=[said], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr(sweeping, "log", log)
    assert asyncio.run(seal()) is None
    last = sealing.last(engine)
    assert last
    assert before
    assert last.number == before.number + 1
    assert [(line["seal"], line["events"]) for line in said.entries if line["event"] == "sealed"] == [(last.name, 2)]


def test_sealing_goes_on_at_once_while_batches_are_full(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = replace(seals.GENESIS, count=sealing.BATCH)
    monkeypatch.setattr(sealing, "seal", lambda _: full)

    async def seal() -> float | None:
        return await Sweep(engine, settings, lambda: None).seal()

    assert asyncio.run(seal()) == 0.0


def test_a_running_worker_seals(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    open_bill()

    async def run() -> None:
        task = without_temporal(settings, engine)
        await eventually(lambda: sealing.standing(engine).waiting == 0)
        task.cancel()

    asyncio.run(run())
    assert sealing.last(engine)


def test_a_running_worker_clears_away_what_was_sent_to_a_webhook_that_is_deleted(
    engine: Engine, settings: Settings, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_removal, "AT_ONCE", 2)
    endpoint, _ = made_endpoint(engine, origin, "http://127.0.0.1:9/")
    for _ in range(3):
        open_bill()
    webhook_backlog.fill(engine, endpoint.id, give_up_after=timedelta(days=3))
    assert standing(engine, endpoint.id) == {"pending": 6}
    webhook_removal.remove(engine, origin, endpoint.id)

    async def run() -> None:
        task = without_temporal(settings, engine)
        await eventually(lambda: standing(engine, endpoint.id) == {})
        task.cancel()

    asyncio.run(run())
