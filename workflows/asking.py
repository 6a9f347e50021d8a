"""What one bill's workflow says of itself, or why it says nothing: asked within a bounded time, whatever its state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from billing.ledger.consistency import Kind
from workflows.bill import BillWorkflow
from workflows.messages import BillFigures
from workflows.telling import translated

ANSWER_WAIT_S = 5.0
# A task that fails is tried again after seconds: by its third attempt no restart of a worker explains it.
WEDGED_FROM_ATTEMPT = 3
# One second, two, four, eight, then ten each: about a minute.
FAILING_FROM_ATTEMPT = 9
LONGEST_CAUSE = 300
EVENTS_LOOKED_AT = 20
UNKNOWN = "Temporal knows none"

Handle = WorkflowHandle[BillWorkflow, BillFigures]


@dataclass(frozen=True, slots=True)
class Said:
    """`figures` are what it has heard, if that can be known. With a `kind` something is wrong with it: `why`."""

    figures: BillFigures | None = None
    kind: Kind | None = None
    why: str = ""
    is_running: bool = False


async def ask(client: Client, workflow_id: str) -> Said:
    """Takes a few seconds at most; raises nothing that Temporal raises."""
    handle: Handle = client.get_workflow_handle_for(BillWorkflow.run, workflow_id)
    try:
        described = await asyncio.wait_for(handle.describe(), ANSWER_WAIT_S)
        return await _said_by(client, handle, described)
    except (RPCError, TimeoutError) as error:
        return _silent(error)


async def _said_by(client: Client, handle: Handle, described: WorkflowExecutionDescription) -> Said:
    if described.status is WorkflowExecutionStatus.RUNNING:
        return await _said_by_a_running_one(client, handle, described)
    if described.status is WorkflowExecutionStatus.COMPLETED:
        return await _result(handle)
    name = described.status.name.lower() if described.status else "nothing known"
    heard = await _queried(handle)
    return Said(heard.figures, Kind.ENDED, f"it ended as {name}")


async def _said_by_a_running_one(client: Client, handle: Handle, described: WorkflowExecutionDescription) -> Said:
    raw = described.raw_description
    if raw.pending_workflow_task.attempt >= WEDGED_FROM_ATTEMPT:
        cause = await _why_its_task_fails(client, handle.id, described.run_id)
        why = f"its task has failed {raw.pending_workflow_task.attempt - 1} times: {cause}"
        return Said(None, Kind.WEDGED, why, is_running=True)
    said = await _queried(handle)
    failing = _failing_activity(raw)
    return replace(
        said, kind=said.kind or (Kind.FAILING if failing else None), why=said.why or failing, is_running=True
    )


async def _result(handle: Handle) -> Said:
    try:
        return Said(await asyncio.wait_for(handle.result(), ANSWER_WAIT_S))
    except (WorkflowFailureError, RuntimeError, ValueError, TypeError) as error:
        return Said(None, Kind.WEDGED, f"its result can't be read: {_short(error)}")


async def _queried(handle: Handle) -> Said:
    try:
        return Said((await asyncio.wait_for(handle.query(BillWorkflow.bill), ANSWER_WAIT_S)).figures)
    except WorkflowQueryFailedError as error:
        return Said(None, Kind.WEDGED, f"it can't be replayed: {_short(error)}")
    except (RPCError, TimeoutError) as error:
        return _silent(error)


def _silent(error: Exception) -> Said:
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        return Said(None, Kind.NO_WORKFLOW, UNKNOWN)
    return Said(None, Kind.SILENT, f"it doesn't answer ({translated(error)})")


def _failing_activity(raw: DescribeWorkflowExecutionResponse) -> str:
    for activity in raw.pending_activities:
        if activity.attempt >= FAILING_FROM_ATTEMPT:
            cause = activity.last_failure.message[:LONGEST_CAUSE] or "no answer in time"
            return f"its activity {activity.activity_type.name} has failed {activity.attempt - 1} times: {cause}"
    return ""


async def _why_its_task_fails(client: Client, workflow_id: str, run_id: str) -> str:
    """Only a task's first failure is in the history; the last of these."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        maximum_page_size=EVENTS_LOOKED_AT,
    )
    read = client.workflow_service.get_workflow_execution_history_reverse(request)
    history = (await asyncio.wait_for(read, ANSWER_WAIT_S)).history
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            return event.workflow_task_failed_event_attributes.failure.message[:LONGEST_CAUSE]
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            return "no worker finished it in time"
    return "its history says nothing about it"


def _short(error: Exception) -> str:
    return str(error)[:LONGEST_CAUSE]
