"""What a worker says of itself."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine

from billing.settings import Settings
from tests.support.ledger import OpenBill
from tests.workflows.conftest import serving, state_when
from workflows.messages import figures_of
from workflows.telling import start
from workflows.worker import BUILD_ID


def test_a_history_names_the_code_that_took_each_turn(engine: Engine, settings: Settings, open_bill: OpenBill) -> None:
    async def builds() -> set[str]:
        async with serving(settings, engine) as client:
            handle = await start(client, settings.temporal_task_queue, figures_of(open_bill()))
            await state_when(handle, lambda state: state.recorded_version == 1)
            history = await handle.fetch_history()
        turns = [event.workflow_task_completed_event_attributes for event in history.events]
        return {turn.worker_version.build_id for turn in turns if turn.HasField("worker_version")}

    assert asyncio.run(builds()) == {BUILD_ID}
