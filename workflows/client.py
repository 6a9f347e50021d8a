"""How the web process talks to a bill's workflow: one loop thread, one client, deadlines, signals in the background.

Nothing here decides anything about a bill, and nothing here is waited for but a close: when Temporal is
down, what was to be said is left to the sweep.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy

from billing.bill import Bill
from billing.errors import BillingError
from billing.settings import Settings
from workflows import causes, metrics
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import BillFigures, WorkflowState, figures_of, new_life
from workflows.news import News, Notice
from workflows.telling import WorkflowsUnavailable, tell, translated

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

CLOSE_WAIT_S = 2.0
ANSWER_WAIT_S = 2.0
CONNECT_WAIT_S = 2.0
SIGNAL_WAIT_S = 5.0
# After a failure of the server it is left alone for so long: nobody waits for what just failed.
PAUSE_S = 5.0
# A workflow that doesn't answer in time may be alone in that. Where so many don't, within so long and without an answer
# of any between, it is the server, or there is no worker.
SILENT_WORKFLOWS = 2
SILENT_FOR_S = 60.0
LATE = (TimeoutError, RPCTimeoutOrCancelledError)
# What fails for reasons of its own, and says nothing of the server.
ITS_OWN = (BillingError, WorkflowQueryFailedError)
# For so long the ledger's epoch that was read counts as the present one; what is said under an earlier one is left to
# the sweep.
EPOCH_FOR_S = 5.0


class BillWorkflows:
    """One a process and mode. Thread-safe; connects at first use, so after any fork.

    `read_epoch` reads the ledger's, on a thread of its own.
    """

    def __init__(self, settings: Settings, read_epoch: Callable[[], int] = lambda: 0):
        self._settings = settings
        self._read_epoch = read_epoch
        # As it was before the bill was read: figures of a ledger that is gone must not claim the epoch after it.
        self._epoch = 0
        self._epoch_read_at = 0.0
        self._news = News()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._client: Client | None = None
        self._paused_until = 0.0
        # By bill, since when.
        self._silent: dict[UUID, float] = {}

    def opened(self, bill: Bill) -> None:
        """Starts the bill's workflow, in the background."""
        self._tell(self._notice(bill, start=True))

    def changed(self, bill: Bill) -> None:
        """Lets the workflow know how the bill stands, in the background; the newest version counts."""
        self._tell(self._notice(bill))

    def period_changed(self, bill: Bill) -> None:
        """Lets the workflow set its timer anew, in the background."""
        self._tell(self._notice(bill, period_changed=True))

    def line_item_requested(self, bill_id: UUID, request_id: UUID) -> None:
        """Hands a stored request to the workflow, in the background."""
        self._tell(Notice(str(bill_id), None, request_ids=(str(request_id),)))

    def close(self, bill: Bill, wait_s: float = CLOSE_WAIT_S) -> None:
        """Asks the workflow to carry out a wish that is committed, and waits `wait_s` at most.

        Whatever comes of it, Postgres says how the bill stands; nothing is raised.
        """
        try:
            with metrics.timed_update("close"):
                closing = self._close(figures_of(bill, self._epoch), causes.of_this_request())
                self._wait_for(closing, wait_s, of=bill.id)
        except WorkflowsUnavailable as unavailable:
            log.warning("close left to the sweep: %s", unavailable)

    def state(self, bill_id: UUID) -> WorkflowState:
        """What the workflow says of itself. Raises WorkflowsUnavailable."""
        return self._wait_for(self._state(f"bill-{bill_id}"), ANSWER_WAIT_S, of=bill_id)

    def carry_out(self, bill_id: UUID, work: Callable[[Client], Coroutine[Any, Any, Answer]], wait_s: float) -> Answer:
        """What is asked of Temporal by hand for a bill, waited for. Raises WorkflowsUnavailable."""
        return self._wait_for(self._carried_out(work), wait_s, of=bill_id, heed_pause=False)

    def is_reachable(self) -> bool:
        """Whether Temporal answers, asked afresh whatever the pause says."""
        try:
            return self._wait_for(self._check(), ANSWER_WAIT_S, heed_pause=False)
        except WorkflowsUnavailable:
            return False

    def lag_s(self) -> float:
        """For how long the oldest notice has been waiting to be sent."""
        return self._news.lag_s()

    def _tell(self, notice: Notice) -> None:
        self._news.put(replace(notice, cause=causes.of_this_request()))
        self._running_loop()

    # On the loop thread

    async def _close(self, figures: BillFigures, cause: causes.Cause) -> None:
        client = await self._connected()
        starting = WithStartWorkflowOperation(
            BillWorkflow.run,
            new_life(figures),
            id=f"bill-{figures.bill_id}",
            task_queue=self._settings.temporal_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        # A failure is left with the started workflow's handle too: unless somebody takes it from there, it is
        # logged as one that nobody foresaw.
        started = asyncio.ensure_future(starting.workflow_handle())
        started.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            with causes.acting_for(cause):
                await client.execute_update_with_start_workflow(BillWorkflow.close, start_workflow_operation=starting)
        finally:
            started.cancel()

    async def _state(self, workflow_id: str) -> WorkflowState:
        client = await self._connected()
        return await client.get_workflow_handle_for(BillWorkflow.run, workflow_id).query(BillWorkflow.bill)

    async def _carried_out(self, work: Callable[[Client], Coroutine[Any, Any, Answer]]) -> Answer:
        return await work(await self._connected())

    async def _check(self) -> bool:
        client = await self._connected()
        return await client.service_client.check_health()

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await connect(self._settings)
        return self._client

    async def _send_news(self) -> None:
        """Sends what is to be said within its budget, for ever; what fails is left to the sweep."""
        while True:
            notice = await self._news.next()
            if self._is_paused():
                metrics.told("left")
                continue
            try:
                client = await asyncio.wait_for(self._connected(), CONNECT_WAIT_S)
                await asyncio.wait_for(tell(client, self._settings.temporal_task_queue, notice), SIGNAL_WAIT_S)
            except Exception as error:
                metrics.told("failed")
                self._note(error)
            else:
                metrics.told("sent")
                await self._learn_epoch()

    async def _learn_epoch(self) -> None:
        if time.monotonic() - self._epoch_read_at > EPOCH_FOR_S:
            self._epoch_read_at = time.monotonic()
            try:
                self._epoch = await asyncio.to_thread(self._read_epoch)
            except Exception as error:  # whatever it is, there is more to be said
                log.warning("the ledger's epoch was not read: %s", type(error).__name__)

    # On any thread

    def _notice(self, bill: Bill, *, start: bool = False, period_changed: bool = False) -> Notice:
        figures = figures_of(bill, self._epoch)
        return Notice(str(bill.id), figures, start=start, just_opened=start, period_changed=period_changed)

    def _wait_for(
        self, asked: Coroutine[Any, Any, Answer], wait_s: float, *, of: UUID | None = None, heed_pause: bool = True
    ) -> Answer:
        """`of` is the bill whose workflow is to answer; without one, the server is."""
        if heed_pause and self._is_paused():
            asked.close()
            raise WorkflowsUnavailable("Temporal failed a moment ago", server_failed=True)
        future: Future[Answer] = asyncio.run_coroutine_threadsafe(_bounded(asked, wait_s), self._running_loop())
        try:
            answer = future.result(wait_s + 1)
        except Exception as error:
            future.cancel()
            raise self._note(error, of) from error
        if of is not None:
            self._silent.clear()
        return answer

    def _is_paused(self) -> bool:
        return time.monotonic() < self._paused_until

    def _note(self, error: BaseException, of: UUID | None = None) -> WorkflowsUnavailable:
        """Translates a failure, and leaves Temporal alone for a while if it was the server's."""
        unavailable = translated(error)
        may_be_alone = of is not None and isinstance(error, LATE) and self._is_alone(of)
        if unavailable.server_failed and not isinstance(error, ITS_OWN) and not may_be_alone:
            self._paused_until = time.monotonic() + PAUSE_S
        return unavailable

    def _is_alone(self, silent: UUID) -> bool:
        now = time.monotonic()
        self._silent = {bill_id: since for bill_id, since in self._silent.items() if now - since < SILENT_FOR_S}
        self._silent[silent] = now
        return len(self._silent) < SILENT_WORKFLOWS

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._process, self._client = os.getpid(), None
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=(self._loop,), name="temporal", daemon=True).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(self._send_news())
        loop.run_forever()


async def _bounded(asked: Coroutine[Any, Any, Answer], wait_s: float) -> Answer:
    # rpc_timeout doesn't bound a call: the SDK goes on retrying. This does.
    return await asyncio.wait_for(asked, wait_s)
