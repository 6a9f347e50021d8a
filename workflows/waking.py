"""Waking the workflows of webhook endpoints: those for which the log has grown, and those that nobody looks after."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import structlog
from sqlalchemy import Engine
from temporalio.client import Client

from billing.ledger import webhook_queue
from billing.ledger.events import LogPosition
from billing.ledger.webhook_queue import Unattended
from workflows.telling import translated
from workflows.threads import in_thread
from workflows.webhook_worker import task_queue
from workflows.webhooks import PREFIX, WebhookLife, WebhookWorkflow

log = structlog.get_logger(__name__)

# One that is at work hears of it no more often than that; one that doesn't move on has its reasons.
AGAIN_AFTER_S = 1.0
UNMOVED_AGAIN_AFTER_S = 10.0
WAKE_WAIT_S = 5.0


class Waking:
    """Remembers whom it has woken: several workers that do so side by side do no harm."""

    def __init__(self, engine: Engine, of_the_bills: str):
        self._engine = engine
        self._task_queue = task_queue(of_the_bills)
        self._woken: dict[UUID, tuple[LogPosition, float]] = {}

    async def round(self, client: Client) -> None:
        """One that can't be woken keeps none of the others waiting."""
        found = await in_thread(webhook_queue.unattended, self._engine)
        wanted = [one for one in found if self._is_due(one)]
        outcomes = await asyncio.gather(*(self._wake(client, one) for one in wanted), return_exceptions=True)
        for one, error in zip(wanted, outcomes, strict=True):
            if isinstance(error, BaseException):
                log.warning("a webhook's workflow was not woken", endpoint_id=str(one.id), error=str(translated(error)))
        known = {one.id for one in found}
        self._woken = {id_: woken for id_, woken in self._woken.items() if id_ in known}

    def _is_due(self, one: Unattended) -> bool:
        if one.id not in self._woken:
            return True
        place, at_s = self._woken[one.id]
        since_s = time.monotonic() - at_s
        return since_s >= (UNMOVED_AGAIN_AFTER_S if place == one.place and not one.is_overdue else AGAIN_AFTER_S)

    async def _wake(self, client: Client, one: Unattended) -> None:
        self._woken[one.id] = (one.place, time.monotonic())
        waking = client.start_workflow(
            WebhookWorkflow.run,
            WebhookLife(str(one.id)),
            id=f"{PREFIX}{one.id}",
            task_queue=self._task_queue,
            start_signal="wake",
        )
        await asyncio.wait_for(waking, WAKE_WAIT_S)
