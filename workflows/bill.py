"""The life of one bill: what happens around its accrual and its closing, and what must happen after a crash.

Orchestration only. Whether an item is on the bill, and whether the bill is closed, the ledger decides;
the workflow hears of it, keeps the figures as its own state, and sees to it that the end comes.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from workflows.messages import BillFigures, BillLife, CloseAnswer, Heard, Requests, WorkflowState

CUSTOMER_ID = SearchAttributeKey.for_keyword("CustomerId")
BILL_STATUS = SearchAttributeKey.for_keyword("BillStatus")
PERIOD_END = SearchAttributeKey.for_datetime("PeriodEnd")

# The sweep closes what is due within a second; the bill's own timer is the net below it.
JITTER_FROM = timedelta(seconds=3)
# The id of a patch: runs that were told so by a worker of before record it themselves, and are replayed as they went.
NOTHING_TO_RECORD = "the-sender-records-what-was-heard"

ATTEMPT_TIMEOUT = timedelta(seconds=15)
# Never capped: a failed update is remembered for ever, and "failed" may be untrue.
UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
REQUESTS_AT_ONCE = 100
# More than these are left to the sweep when the run continues as new, so that its input stays small.
REQUESTS_HANDED_ON = 20


@workflow.defn(name="BillWorkflow")
class BillWorkflow:
    """One per bill, `bill-<id>`; ends when the bill is closed and the ledger knows that this workflow heard so."""

    @workflow.init
    def __init__(self, life: BillLife) -> None:
        self._figures = life.figures
        self._recorded_version = life.recorded_version
        self._requests = list(life.request_ids)
        self._longest_history = life.longest_history
        self._closes_asked = 0
        self._closes_answered = 0
        self._end_reached = False
        self._unknown_wish: tuple[int, int] | None = None
        self._timers_spread_s = life.timers_spread_s
        self._wake_at = self._own_end()

    @workflow.run
    async def run(self, life: BillLife) -> BillFigures:
        self._show_search_attributes()
        timer = asyncio.create_task(self._watch_for_the_end())
        while not self._is_finished():
            await workflow.wait_condition(lambda: self._has_work() or self._is_finished())
            if self._is_finished():
                break
            if self._must_continue_as_new():
                timer.cancel()
                workflow.continue_as_new(self._life())
            await self._work()
        timer.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._figures

    @workflow.signal
    def accrued(self, figures: BillFigures) -> None:
        """The bill as of a version. Lost, doubled or late, it does no harm: only newer versions count."""
        self._hear(replace(figures, recorded=False))
        if figures.recorded and figures.rank == self._figures.rank and workflow.patched(NOTHING_TO_RECORD):
            self._recorded_version = figures.version

    @workflow.signal
    def period_changed(self, figures: BillFigures) -> None:
        """The bill with its new end."""
        self._hear(figures)

    @workflow.signal
    def add_line_items(self, request_id: str) -> None:
        """A stored request to carry out."""
        self._requests.append(request_id)

    @workflow.update
    async def close(self) -> BillFigures:
        """Carries out a wish that the ledger has; the answer says whether the bill is closed now."""
        self._closes_asked += 1
        ticket = self._closes_asked
        await workflow.wait_condition(lambda: self._figures.is_closed or self._closes_answered >= ticket)
        return self._figures

    @workflow.query
    def bill(self) -> WorkflowState:
        """What this workflow has heard, and when it will wake by itself."""
        next_timer = None if self._figures.is_closed else self._wake_at
        events = workflow.info().get_current_history_length()
        return WorkflowState(self._figures, self._recorded_version, next_timer, events)

    def _hear(self, figures: BillFigures) -> None:
        if figures.rank <= self._figures.rank:
            return
        known, self._figures = self._figures, figures
        if figures.epoch > known.epoch:
            # What was recorded was recorded in a ledger that is gone.
            self._recorded_version = 0
        if figures.period_end != known.period_end:
            self._end_reached = False
            self._wake_at = self._own_end()
        if (figures.status, figures.period_end) != (known.status, known.period_end):
            self._show_search_attributes()

    def _has_work(self) -> bool:
        return bool(self._requests) or self._must_close() or self._must_record()

    def _must_close(self) -> bool:
        if self._figures.is_closed:
            return False
        # A wish that this workflow only heard of is carried out as one that it was asked for.
        wished = self._figures.status == "closing" and self._figures.rank != self._unknown_wish
        return self._end_reached or wished or self._closes_asked > self._closes_answered

    def _must_record(self) -> bool:
        return self._recorded_version < self._figures.version

    def _is_finished(self) -> bool:
        return self._figures.is_closed and not self._has_work()

    async def _work(self) -> None:
        # Requests first: those pending when the end comes get their answer before the workflow ends.
        if self._requests:
            await self._carry_out_requests()
        elif self._must_close():
            await self._close()
        else:
            await self._record()

    async def _carry_out_requests(self) -> None:
        taken, self._requests = self._requests[:REQUESTS_AT_ONCE], self._requests[REQUESTS_AT_ONCE:]
        self._hear(
            await workflow.execute_activity(
                "carry_out_requests",
                Requests(self._figures.bill_id, taken),
                result_type=BillFigures,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                retry_policy=UNTIL_IT_WORKS,
            )
        )

    async def _close(self) -> None:
        asked = self._closes_asked
        answer = await workflow.execute_activity(
            "close_bill",
            self._figures.bill_id,
            result_type=CloseAnswer,
            start_to_close_timeout=ATTEMPT_TIMEOUT,
            retry_policy=UNTIL_IT_WORKS,
        )
        self._closes_answered = asked
        self._hear(answer.figures)
        if answer.wait_s is not None:
            # A wish of which the ledger knows nothing, because it was restored from before, is not asked for again.
            self._unknown_wish = self._figures.rank
            # The database's clock says that the end lies ahead; ours was early, or the end was moved.
            self._end_reached = False
            self._wake_at = workflow.now() + timedelta(seconds=answer.wait_s) + self._jitter()

    async def _record(self) -> None:
        (epoch, version), finished = self._figures.rank, self._figures.is_closed
        no_longer_open = await workflow.execute_activity(
            "record_heard",
            Heard(self._figures.bill_id, version, finished, epoch),
            result_type=BillFigures | None,  # type: ignore[arg-type]
            start_to_close_timeout=ATTEMPT_TIMEOUT,
            retry_policy=UNTIL_IT_WORKS,
        )
        if self._figures.epoch == epoch:
            self._recorded_version = max(self._recorded_version, version)
        if no_longer_open is not None:
            self._hear(no_longer_open)

    async def _watch_for_the_end(self) -> None:
        """One timer a run, set anew only when the end moves."""
        while True:
            awaited = self._wake_at
            wait = max(awaited - workflow.now(), timedelta(0))
            try:
                await workflow.wait_condition(lambda: self._wake_at != awaited, timeout=wait)  # noqa: B023
            except TimeoutError:
                self._end_reached = True
                await workflow.wait_condition(lambda: self._wake_at != awaited)  # noqa: B023

    def _must_continue_as_new(self) -> bool:
        # Nothing is awaited between this and continuing, so that no update is lost on the way; signals that
        # arrive meanwhile go to the next run.
        return workflow.info().get_current_history_length() > self._longest_history and (
            workflow.all_handlers_finished()
        )

    def _life(self) -> BillLife:
        handed_on = self._requests[:REQUESTS_HANDED_ON]
        return BillLife(self._figures, self._recorded_version, handed_on, self._longest_history, self._timers_spread_s)

    def _own_end(self) -> datetime:
        return self._figures.period_end + self._jitter()

    def _jitter(self) -> timedelta:
        """Derived from the bill's id, so that every replay has the same."""
        spread_ms = round(self._timers_spread_s * 1000)
        return JITTER_FROM + timedelta(milliseconds=UUID(self._figures.bill_id).int % spread_ms)

    def _show_search_attributes(self) -> None:
        workflow.upsert_search_attributes(
            [
                CUSTOMER_ID.value_set(self._figures.customer_id),
                BILL_STATUS.value_set(self._figures.status),
                PERIOD_END.value_set(self._figures.period_end),
            ]
        )
