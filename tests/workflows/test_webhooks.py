"""The workflow of a webhook endpoint on a real Temporal server: started, woken, and started again by the sweep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from billing.ledger import line_items, webhook_endpoints, webhook_queue, webhook_removal
from billing.origin import Origin
from billing.settings import Settings
from tests.support.ledger import OpenBill, draft
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhooks import IMPATIENT, SECRET_KEY, made_endpoint, standing
from workflows import waking
from workflows.connection import connect
from workflows.sweep import Sweep
from workflows.webhook_worker import task_queue, webhook_worker
from workflows.webhooks import Delivered, WebhookLife, WebhookWorkflow


@pytest.fixture
def ours(settings: Settings) -> Settings:
    return replace(settings, secret_key=SECRET_KEY, webhook_receivers_anywhere=True, webhook_patience=IMPATIENT)


@asynccontextmanager
async def serving(settings: Settings, engine: Engine) -> AsyncIterator[Client]:
    """A worker and what of the sweep is about webhooks."""
    client = await connect(settings)
    sweep = Sweep(engine, settings, lambda: client)

    async def again() -> None:
        while True:
            await sweep.wake_webhooks()
            await asyncio.sleep(0.1)

    async with webhook_worker(client, settings, engine):
        sweeping = asyncio.create_task(again())
        yield client
        sweeping.cancel()


async def eventually(wanted: Callable[[], bool], within_s: float = 40) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not wanted():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def status_of(client: Client, endpoint_id: UUID) -> WorkflowExecutionStatus | None:
    return (await client.get_workflow_handle(f"webhook-{endpoint_id}").describe()).status


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_events_are_sent_as_they_happen_until_it_is_paused_and_on_when_it_is_resumed(
    engine: Engine, origin: Origin, ours: Settings, open_bill: OpenBill
) -> None:
    async def scenario(receiver: WebhookReceiver) -> None:
        endpoint, _ = made_endpoint(engine, origin, receiver.url)
        async with serving(ours, engine) as client:
            bill = open_bill()
            await eventually(lambda: f"evt_{bill.id}_1" in receiver.accepted)
            line_items.add(engine, origin, bill.id, draft())
            await eventually(lambda: f"evt_{bill.id}_2" in receiver.accepted)
            assert await status_of(client, endpoint.id) == WorkflowExecutionStatus.RUNNING

            webhook_endpoints.pause(engine, origin, endpoint.id)
            line_items.add(engine, origin, bill.id, draft())
            await client.get_workflow_handle_for(WebhookWorkflow.run, f"webhook-{endpoint.id}").signal("wake")
            await asyncio.wait_for(client.get_workflow_handle(f"webhook-{endpoint.id}").result(), 20)
            assert f"evt_{bill.id}_3" not in receiver.accepted

            webhook_endpoints.resume(engine, origin, endpoint.id)
            await eventually(lambda: f"evt_{bill.id}_3" in receiver.accepted)
            webhook_removal.remove(engine, origin, endpoint.id)

    with WebhookReceiver() as receiver:
        run(scenario(receiver))


@pytest.mark.parametrize("end", [webhook_endpoints.pause, webhook_removal.remove])
def test_the_workflow_of_one_that_sleeps_ends_when_it_is_paused_or_deleted(
    engine: Engine, origin: Origin, ours: Settings, open_bill: OpenBill, end: Callable[[Engine, Origin, UUID], object]
) -> None:
    """Nothing is queued for it, and nothing new in the log: nobody else would wake it."""

    async def scenario(receiver: WebhookReceiver) -> None:
        endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.created",))
        async with serving(ours, engine) as client:
            bill = open_bill()
            await eventually(lambda: f"evt_{bill.id}_1" in receiver.accepted)
            await eventually(lambda: due_at(engine, endpoint.id) is None)
            assert await status_of(client, endpoint.id) == WorkflowExecutionStatus.RUNNING

            end(engine, origin, endpoint.id)

            await asyncio.wait_for(client.get_workflow_handle(f"webhook-{endpoint.id}").result(), 20)
            await eventually(lambda: due_at(engine, endpoint.id) is None)
            assert endpoint.id not in [one.id for one in webhook_queue.unattended(engine)]

    with WebhookReceiver() as receiver:
        run(scenario(receiver))


def due_at(engine: Engine, endpoint_id: UUID) -> Any:
    with engine.connect() as connection:
        query = text("SELECT due_at FROM webhook_endpoints WHERE id = :id")
        return connection.execute(query, {"id": endpoint_id}).scalar_one_or_none()


def test_what_failed_is_sent_again_without_anything_new_in_the_log(
    engine: Engine, origin: Origin, ours: Settings, open_bill: OpenBill
) -> None:
    async def scenario(receiver: WebhookReceiver) -> None:
        receiver.answer = lambda _: 200 if len(receiver.received) > 6 else 500
        endpoint, _ = made_endpoint(engine, origin, receiver.url)
        async with serving(ours, engine):
            bill = open_bill()
            await eventually(lambda: f"evt_{bill.id}_1" in receiver.accepted)
            await eventually(lambda: standing(engine, endpoint.id).keys() == {"delivered"})
        webhook_removal.remove(engine, origin, endpoint.id)

    with WebhookReceiver() as receiver:
        run(scenario(receiver))


def test_one_whose_workflow_is_gone_is_noticed_by_the_sweep(
    engine: Engine, origin: Origin, ours: Settings, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is new in the log: only what is due says so."""
    monkeypatch.setattr(waking, "AGAIN_AFTER_S", 0.2)
    slow = replace(ours, webhook_patience=replace(IMPATIENT, first=timedelta(seconds=3), longest=timedelta(seconds=3)))

    async def scenario(receiver: WebhookReceiver) -> None:
        receiver.answer = lambda _: 500
        endpoint, _ = made_endpoint(engine, origin, receiver.url)
        async with serving(slow, engine) as client:
            bill = open_bill()
            await eventually(lambda: len(receiver.received) >= 2)
            await client.get_workflow_handle(f"webhook-{endpoint.id}").terminate()
            receiver.answer = lambda _: 200
            await eventually(lambda: f"evt_{bill.id}_1" in receiver.accepted, 90)
        webhook_removal.remove(engine, origin, endpoint.id)

    with WebhookReceiver() as receiver:
        run(scenario(receiver))


def test_in_the_sandbox_it_continues_as_new_before_its_history_is_long_and_ends_when_it_is_over(
    settings: Settings,
) -> None:
    rounds = 0

    @activity.defn(name="deliver_webhooks")
    async def deliver(endpoint_id: str) -> Delivered:
        nonlocal rounds
        assert endpoint_id == "an id"
        rounds += 1
        return Delivered(wait_s=0.0, is_over=rounds == 12)

    async def scenario() -> None:
        client = await connect(settings)
        queue = task_queue(settings.temporal_task_queue)
        worker = Worker(
            client,
            task_queue=queue,
            workflows=[WebhookWorkflow],
            activities=[deliver],
            workflow_runner=SandboxedWorkflowRunner(),
        )
        async with worker:
            handle = await client.start_workflow(
                WebhookWorkflow.run, WebhookLife("an id", longest_history=20), id=f"webhook-{queue}", task_queue=queue
            )
            first = handle.first_execution_run_id
            await asyncio.wait_for(handle.result(), 30)
            assert (await client.get_workflow_handle(f"webhook-{queue}").describe()).run_id != first

    run(scenario())
    assert rounds == 12


@pytest.fixture(autouse=True)
def _none_left(engine: Engine) -> Any:
    yield
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_endpoints"))
