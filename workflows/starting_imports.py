"""Starting the workflows of imports that aren't done: once they were sent, Temporal is back, or one was ended early."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import structlog
from sqlalchemy import Engine
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from billing.ledger import imports
from workflows.import_worker import task_queue
from workflows.imports import PREFIX, ImportLife, ImportWorkflow
from workflows.telling import translated
from workflows.threads import in_thread

log = structlog.get_logger(__name__)

# One that runs takes no notice.
AGAIN_AFTER_S = 30.0
START_WAIT_S = 5.0


class StartingImports:
    """Remembers which it has started: several workers that do so side by side do no harm."""

    def __init__(self, engine: Engine, of_the_bills: str):
        self._engine = engine
        self._task_queue = task_queue(of_the_bills)
        self._started_s: dict[UUID, float] = {}

    async def round(self, client: Client) -> None:
        """One that can't be started keeps none of the others waiting."""
        found = await in_thread(imports.unfinished, self._engine)
        self._started_s = {id_: self._started_s[id_] for id_ in found if id_ in self._started_s}
        due = [id_ for id_ in found if time.monotonic() - self._started_s.get(id_, -AGAIN_AFTER_S) >= AGAIN_AFTER_S]
        outcomes = await asyncio.gather(*(self._start(client, id_) for id_ in due), return_exceptions=True)
        for id_, error in zip(due, outcomes, strict=True):
            if isinstance(error, BaseException):
                log.warning("an import was not started", import_id=str(id_), error=str(translated(error)))

    async def _start(self, client: Client, import_id: UUID) -> None:
        starting = client.start_workflow(
            ImportWorkflow.run,
            ImportLife(str(import_id)),
            id=f"{PREFIX}{import_id}",
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await asyncio.wait_for(starting, START_WAIT_S)
        self._started_s[import_id] = time.monotonic()
