"""What touches the world for an import's workflow; and who serves it, on threads of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from billing.ledger import importing
from billing.ledger.settings import offered
from billing.settings import Settings
from workflows.activities import in_temporals_words
from workflows.imports import Imported, ImportWorkflow

# Of a worker process. Others wait for their turn, which comes after some seconds.
IMPORTS_AT_ONCE = 2
ROUND_S = 5.0
# After so many rows an import rests for half as long as they took, so that it never has more than two thirds of a
# processor, and whoever waits for its bill comes in between.
REST = 0.5
LONGEST_REST_S = 2.0


class ImportActivities:
    """Bound to one engine. A database out of reach is an ordinary failure that Temporal retries for ever."""

    def __init__(self, engine: Engine, settings: Settings):
        self._engine = engine
        self._configured = settings.supported_currencies

    def all(self) -> list[Callable[..., Any]]:
        return [self.import_rows]

    @activity.defn
    def import_rows(self, import_id: str) -> Imported:
        """Decides rows for some seconds; safe to repeat: what was decided isn't there to be decided any more."""
        with in_temporals_words():
            codes, decided, until_s = offered(self._engine, ceiling=self._configured), 0, time.monotonic() + ROUND_S
            while True:
                activity.heartbeat()
                began_s = time.monotonic()
                step = importing.take_some(self._engine, UUID(import_id), codes)
                decided += step.rows
                ended_s = time.monotonic()
                if step.is_over or ended_s >= until_s or activity.is_worker_shutdown() or activity.is_cancelled():
                    return Imported(decided, step.is_over)
                time.sleep(min(REST * (ended_s - began_s), LONGEST_REST_S))


def task_queue(of_the_bills: str) -> str:
    return f"{of_the_bills}-imports"


def import_worker(client: Client, settings: Settings, engine: Engine, build_id: str | None = None) -> Worker:
    """Serves ImportWorkflow and its activity until it is cancelled."""
    return Worker(
        client,
        task_queue=task_queue(settings.temporal_task_queue),
        workflows=[ImportWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        activities=ImportActivities(engine, settings).all(),
        activity_executor=ThreadPoolExecutor(IMPORTS_AT_ONCE, thread_name_prefix="imports"),
        max_concurrent_activities=IMPORTS_AT_ONCE,
        build_id=build_id,
        graceful_shutdown_timeout=timedelta(seconds=5),
    )
