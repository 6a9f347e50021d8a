from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from temporalio.client import Client, WorkflowHandle
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from billing.ledger.database import transaction
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.origin import Origin
from billing.settings import Settings
from embedded.temporal import Temporal
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhooks import made_endpoint
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import BillFigures, WorkflowState
from workflows.worker import bill_worker, register_search_attributes

BillHandle = WorkflowHandle[BillWorkflow, BillFigures]


@pytest.fixture
def settings(database_url: str, temporal: Temporal) -> Settings:
    """A task queue of its own, so that no test's worker takes another's work."""
    return Settings(
        database_url=database_url, temporal_address=temporal.address, temporal_task_queue=f"test-{uuid4().hex}"
    )


@asynccontextmanager
async def serving(settings: Settings, engine: Engine) -> AsyncIterator[Client]:
    """A client, while a worker serves the settings' task queue."""
    client = await connect(settings)
    await register_search_attributes(client, settings.temporal_namespace)
    async with bill_worker(client, settings, engine, SandboxedWorkflowRunner()):
        yield client


def move_clock(engine: Engine, offset: timedelta) -> None:
    """Lets the database's clock run ahead by `offset` from now on."""
    with transaction(engine) as connection:
        database = connection.execute(text("SELECT current_database()")).scalar_one()
        seconds = offset / timedelta(seconds=1)
        connection.execute(text(f"ALTER DATABASE \"{database}\" SET pave.clock_offset = '{seconds} seconds'"))
    engine.dispose()


async def state_when(handle: BillHandle, wanted: Callable[[WorkflowState], bool], wait_s: float = 30) -> WorkflowState:
    """The workflow's state as soon as it is as wanted; fails after `wait_s`."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        state = await handle.query(BillWorkflow.bill)
        if wanted(state):
            return state
        assert asyncio.get_running_loop().time() < deadline, f"still {state}"
        await asyncio.sleep(0.1)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as started:
        yield started


@pytest.fixture
def endpoint(engine: Engine, origin: Origin, receiver: WebhookReceiver) -> Iterator[WebhookEndpoint]:
    made, _ = made_endpoint(engine, origin, receiver.url)
    yield made
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_endpoints"))
