"""One notice, said to one workflow; and what Temporal's failures mean."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from workflows import causes
from workflows.bill import BillWorkflow
from workflows.messages import BillFigures, new_life
from workflows.news import Notice

# The server is there, and what was asked can't be: the workflow is unknown or has ended meanwhile.
ANSWERS = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.ABORTED}


class WorkflowsUnavailable(Exception):
    """Temporal is out of reach or slow; or, with `server_failed` False, it answered and doesn't know the
    workflow, or the workflow ended meanwhile: Postgres says which."""

    def __init__(self, sentence: str, *, server_failed: bool):
        super().__init__(sentence)
        self.server_failed = server_failed


async def start(
    client: Client,
    task_queue: str,
    figures: BillFigures,
    reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE,
) -> WorkflowHandle[BillWorkflow, BillFigures]:
    """The bill's workflow, started now if it doesn't run; `reuse` says whether it may have run before."""
    return await client.start_workflow(
        BillWorkflow.run,
        new_life(figures),
        id=f"bill-{figures.bill_id}",
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=reuse,
    )


async def tell(client: Client, task_queue: str, notice: Notice) -> None:
    """Signals the workflow; starts it first where the notice says so.

    Only then: neither a late signal nor late news of the opening may revive a workflow that has ended.
    """
    with causes.acting_for(notice.cause):
        await _tell(client, task_queue, notice)


async def _tell(client: Client, task_queue: str, notice: Notice) -> None:
    figures = notice.figures
    handle = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{notice.bill_id}")
    if notice.just_opened and figures is not None:
        with suppress(WorkflowAlreadyStartedError):
            await start(client, task_queue, figures, WorkflowIDReusePolicy.REJECT_DUPLICATE)
    elif notice.start and figures is not None:
        handle = await start(client, task_queue, figures)
    if figures is not None and not notice.just_opened:
        heard = BillWorkflow.period_changed if notice.period_changed else BillWorkflow.accrued
        await handle.signal(heard, figures)
    for request_id in notice.request_ids:
        await handle.signal(BillWorkflow.add_line_items, request_id)


async def tell_the_last(client: Client, task_queue: str, figures: BillFigures) -> bool:
    """Hands a closed bill's figures to its workflow and waits until it has ended; whether it ended with these.

    One call, one workflow task and no activity, where a workflow that records itself what it heard takes two calls,
    two tasks and an activity. So the caller records it. One that has ended with these figures isn't started again.
    """
    last = partial(_tell_the_last, client, task_queue, figures)
    try:
        handle = await last(WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY)
    except WorkflowAlreadyStartedError:
        ended = client.get_workflow_handle_for(BillWorkflow.run, f"bill-{figures.bill_id}")
        if _is_last(await ended.result(), figures):
            return True
        handle = await last(WorkflowIDReusePolicy.ALLOW_DUPLICATE)
    return _is_last(await handle.result(), figures)


async def _tell_the_last(
    client: Client, task_queue: str, figures: BillFigures, reuse: WorkflowIDReusePolicy
) -> WorkflowHandle[BillWorkflow, BillFigures]:
    return await client.start_workflow(
        BillWorkflow.run,
        new_life(figures, recorded_version=figures.version),
        id=f"bill-{figures.bill_id}",
        task_queue=task_queue,
        id_reuse_policy=reuse,
        start_signal="accrued",
        start_signal_args=[replace(figures, recorded=True)],
    )


def _is_last(said: BillFigures, figures: BillFigures) -> bool:
    return said.is_closed and said.rank == figures.rank


def translated(error: BaseException) -> WorkflowsUnavailable:
    """Every outcome of a call that isn't its answer: a failed connect (RuntimeError), a deadline, an RPC error."""
    if isinstance(error, WorkflowsUnavailable):
        return error
    if isinstance(error, RPCError):
        answered = error.status in ANSWERS
        return WorkflowsUnavailable(f"Temporal answered {error.status.name}", server_failed=not answered)
    if isinstance(error, WorkflowUpdateFailedError):
        return WorkflowsUnavailable("the workflow refused", server_failed=False)
    return WorkflowsUnavailable(type(error).__name__, server_failed=True)
