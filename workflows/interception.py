"""What happens around every call of Temporal's: causes are handed on, spans are made, each activity leaves a line."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import structlog
from temporalio import activity, client, worker

from billing import logs
from workflows import causes, tracing

log = structlog.get_logger(__name__)

# A bill closes because somebody asked for it, or by its timer: not because of what was added before.
CLOSING = "close_bill"


class CauseInterceptor(client.Interceptor, worker.Interceptor):
    """Given to a client, it serves that client's workers too."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002
        return _Asking(next)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002
        return _Acting(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _Hearing


class _Asking(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> Any:  # noqa: A002
        with tracing.span(f"start {input.workflow}", "client", causes.current(), workflow_id=input.id):
            input.headers = causes.written(input.headers, _cause())
            return await super().start_workflow(input)

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:  # noqa: A002
        with tracing.span(f"signal {input.signal}", "client", causes.current(), workflow_id=input.id):
            input.headers = causes.written(input.headers, _cause())
            await super().signal_workflow(input)

    async def start_update_with_start_workflow(self, input: client.StartWorkflowUpdateWithStartInput) -> Any:  # noqa: A002
        starting, updating = input.start_workflow_input, input.update_workflow_input
        with tracing.span(f"update {updating.update}", "client", causes.current(), workflow_id=starting.id):
            cause = _cause()
            starting.headers = causes.written(starting.headers, cause)
            updating.headers = causes.written(updating.headers, cause)
            return await super().start_update_with_start_workflow(input)


def _cause() -> causes.Cause:
    """The request's, with the span that was just opened as the parent of what comes of it."""
    return {**causes.current(), **tracing.carrier()}


class _Hearing(worker.WorkflowInboundInterceptor):
    """Runs beside the workflow, on its thread. It keeps headers as they came, and looks into none."""

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        self._handing_on = _HandingOn(outbound)
        super().init(self._handing_on)

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        # A signal that came with the start was heard before this, and is newer.
        self._handing_on.heard = self._handing_on.heard or _cause_in(input.headers)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        self._handing_on.heard = _cause_in(input.headers)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:  # noqa: A002
        self._handing_on.heard = self._handing_on.asked_to_close = _cause_in(input.headers)
        return await super().handle_update_handler(input)


class _HandingOn(worker.WorkflowOutboundInterceptor):
    def __init__(self, next: worker.WorkflowOutboundInterceptor) -> None:  # noqa: A002
        super().__init__(next)
        self.heard: causes.Headers = {}
        self.asked_to_close: causes.Headers = {}

    def start_activity(self, input: worker.StartActivityInput) -> Any:  # noqa: A002
        """Each cause is handed on once: a timer that goes off days later has none. Of a closing there is more to do."""
        if input.activity == CLOSING:
            cause = self.heard = self.asked_to_close
            self.asked_to_close = {}
        else:
            cause, self.heard = self.heard, {}
        return super().start_activity(replace(input, headers={**input.headers, **cause}))


def _cause_in(headers: causes.Headers) -> causes.Headers:
    return {name: value for name, value in headers.items() if name == causes.HEADER}


class _Acting(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002
        info, cause = activity.info(), causes.read(input.headers)
        workflow_id = info.workflow_id or ""
        bill_id = workflow_id.removeprefix("bill-") if workflow_id.startswith("bill-") else None
        request_id, actor = cause.get(causes.REQUEST_ID), cause.get(causes.ACTOR)
        with (
            logs.bound(request_id=request_id, actor=actor, bill_id=bill_id, activity=info.activity_type),
            tracing.span(f"activity {info.activity_type}", "server", cause, workflow_id=workflow_id),
        ):
            began = time.perf_counter()
            outcome = "failed"
            try:
                answer = await super().execute_activity(input)
                outcome = "done"
            finally:
                ms = round((time.perf_counter() - began) * 1000, 1)
                log.info("activity", outcome=outcome, attempt=info.attempt, ms=ms)
            return answer
