"""An administrator's repair on the page of what needs somebody, beside a real Temporal with a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine

from billing.ledger import findings
from billing.ledger.consistency import Kind
from billing.settings import Settings
from embedded.temporal import Temporal
from tests.support.ledger import OpenBill
from tests.support.serving import worker_without_sweep
from tests.support.visitor import Visitor
from webapp.app import create_app
from webapp.config import Config
from webapp.pages import attention
from webapp.pages.attention import REPAIRED
from workflows import causes, repairing
from workflows.connection import connect
from workflows.messages import figures_of
from workflows.reconciling import Reconciler
from workflows.telling import start
from workflows.watching import note_workflows


@pytest.fixture(scope="module")
def settings(database_url: str, temporal: Temporal) -> Settings:
    queue = f"repairs-{uuid4().hex}"
    return Settings(database_url, temporal_address=temporal.address, temporal_task_queue=queue)


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[Flask]:
    """One that reaches Temporal."""
    made = create_app(Config(settings, secret_key="a secret of the tests", log_level="ERROR"))
    yield made
    made.extensions["pave"].close()


@pytest.fixture
def _worker(settings: Settings, engine: Engine) -> Iterator[None]:
    with worker_without_sweep(settings, engine):
        yield


@pytest.mark.usefixtures("_worker")
def test_what_an_administrator_repairs_agrees_afterwards_and_goes_from_the_list(
    admin: Visitor,
    viewer: Visitor,
    engine: Engine,
    settings: Settings,
    open_bill: OpenBill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(repairing, "REPAIRED_WITHIN_S", 50.0)
    monkeypatch.setattr(attention, "REPAIR_WAIT_S", 60.0)
    bill = open_bill()

    async def ended_and_found() -> None:
        client = await connect(settings)
        handle = await start(client, settings.temporal_task_queue, figures_of(bill))
        await handle.terminate(reason="a hand")
        looked = await Reconciler(client, engine, settings.temporal_task_queue).look([bill])
        note_workflows(engine, [bill.id], looked.suspects)

    async def differences() -> list[Kind]:
        looked = await Reconciler(await connect(settings), engine, settings.temporal_task_queue).look([bill])
        return [suspect.kind for suspect in looked.suspects]

    async def cause() -> causes.Cause:
        """Of the run that began with the repair."""
        handle = (await connect(settings)).get_workflow_handle(bill.workflow_id)
        (began, *_) = (await handle.fetch_history()).events
        return causes.read(began.workflow_execution_started_event_attributes.header.fields)

    asyncio.run(ended_and_found())
    (finding,) = findings.still_open(engine, after=None, limit=10)
    assert finding.kind is Kind.ENDED
    address = f"/attention/findings/{finding.id}/repair"
    assert admin.open("/attention").id(f"finding-{finding.id}").all("a", href=address)

    page = admin.submit(address, address, status=303)

    assert REPAIRED in page.id("notices").text
    shown = viewer.open("/attention")
    assert not shown.with_class("finding")
    assert "no more since" in shown.id(f"finding-{finding.id}").text
    assert findings.by_id(engine, finding.id).repair_asked_by == "admin@example.com"
    assert asyncio.run(differences()) == []
    assert asyncio.run(cause())["actor"].startswith("user:")
