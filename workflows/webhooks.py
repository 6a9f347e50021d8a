"""The life of one webhook endpoint: who sees to it that what is due is sent. Orchestration only.

What is queued, what arrived and when to try again is in PostgreSQL; the workflow keeps at it, one round after the
other, and sleeps until there is something to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

PREFIX = "webhook-"
LONGEST_HISTORY = 2_000
# A round's own time, and that of one event that is being sent.
ROUND_TIMEOUT = timedelta(seconds=60)
# A worker that died is noticed by its silence.
SILENCE = timedelta(seconds=10)
UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))


@dataclass
class WebhookLife:
    """All that a run begins with."""

    endpoint_id: str
    longest_history: int = LONGEST_HISTORY


@dataclass
class Delivered:
    """After a round: in how many seconds there is something to do, None when nobody knows. `is_over`: the endpoint is
    paused, or gone."""

    arrived: int = 0
    failed: int = 0
    wait_s: float | None = None
    is_over: bool = False


@workflow.defn(name="WebhookWorkflow")
class WebhookWorkflow:
    """One per endpoint, `webhook-<id>`, from the first event for it on; ends when it is paused or deleted. Whoever
    resumes it starts another, by the sweep."""

    @workflow.init
    def __init__(self, life: WebhookLife) -> None:
        self._endpoint_id = life.endpoint_id
        self._woken = True

    @workflow.run
    async def run(self, life: WebhookLife) -> None:
        while True:
            self._woken = False
            done = await self._round()
            if done.is_over and not self._woken:
                return
            if workflow.info().get_current_history_length() > life.longest_history:
                workflow.continue_as_new(life)
            await self._sleep(done.wait_s)

    @workflow.signal
    def wake(self) -> None:
        """There may be something to do. Lost, doubled or late, it does no harm: the sweep says it again."""
        self._woken = True

    async def _round(self) -> Delivered:
        done: Delivered = await workflow.execute_activity(
            "deliver_webhooks",
            self._endpoint_id,
            result_type=Delivered,
            start_to_close_timeout=ROUND_TIMEOUT,
            heartbeat_timeout=SILENCE,
            retry_policy=UNTIL_IT_WORKS,
        )
        return done

    async def _sleep(self, for_s: float | None) -> None:
        if self._woken or (for_s is not None and for_s <= 0):
            return
        timeout = None if for_s is None else timedelta(seconds=for_s)
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=timeout)
        except TimeoutError:
            return
