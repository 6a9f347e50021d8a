"""One notice, said to one workflow; and what Temporal's failures mean."""

from __future__ import annotations

from contextlib import suppress

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from workflows.bill import BillWorkflow
from workflows.messages import BillFigures, BillLife
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
        BillLife(figures),
        id=f"bill-{figures.bill_id}",
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=reuse,
    )


async def tell(client: Client, task_queue: str, notice: Notice) -> None:
    """Signals the workflow; starts it first where the notice says so.

    Only then: neither a late signal nor late news of the opening may revive a workflow that has ended.
    """
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
