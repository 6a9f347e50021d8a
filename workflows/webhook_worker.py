"""What touches the world for a webhook endpoint's workflow; and who serves it, on threads of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from billing.origin import by_the_system
from billing.settings import Settings
from workflows.activities import in_temporals_words
from workflows.delivering import Delivering
from workflows.outgoing import Policy
from workflows.webhooks import Delivered, WebhookWorkflow

ENDPOINTS_AT_ONCE = 8


class WebhookActivities:
    """Bound to one engine. A database out of reach is an ordinary failure that Temporal retries for ever."""

    def __init__(self, delivering: Delivering):
        self._delivering = delivering

    def all(self) -> list[Callable[..., Any]]:
        return [self.deliver_webhooks]

    @activity.defn
    def deliver_webhooks(self, endpoint_id: str) -> Delivered:
        """One round of sending; safe to repeat: what has arrived isn't due any more."""

        def is_stopping() -> bool:
            activity.heartbeat()
            return activity.is_worker_shutdown() or activity.is_cancelled()

        with in_temporals_words():
            origin = by_the_system(activity.info().activity_id)
            done = self._delivering.round(UUID(endpoint_id), origin, is_stopping=is_stopping)
            wait_s = None if done.wait is None else done.wait / timedelta(seconds=1)
            return Delivered(done.arrived, done.failed, wait_s, done.is_over)


def task_queue(of_the_bills: str) -> str:
    return f"{of_the_bills}-webhooks"


def delivering(settings: Settings, engine: Engine) -> Delivering:
    policy = Policy.from_settings(settings)
    return Delivering(engine, settings.secret_key, policy, settings.webhook_patience)


def webhook_worker(client: Client, settings: Settings, engine: Engine, build_id: str | None = None) -> Worker:
    """Serves WebhookWorkflow and its activity until it is cancelled."""
    return Worker(
        client,
        task_queue=task_queue(settings.temporal_task_queue),
        workflows=[WebhookWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        activities=WebhookActivities(delivering(settings, engine)).all(),
        activity_executor=ThreadPoolExecutor(ENDPOINTS_AT_ONCE, thread_name_prefix="webhooks"),
        max_concurrent_activities=ENDPOINTS_AT_ONCE,
        build_id=build_id,
        graceful_shutdown_timeout=timedelta(seconds=2),
    )
