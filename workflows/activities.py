"""What touches the world for a bill's workflow: thin calls of the ledger, each safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from billing.errors import NotFound
from billing.ledger import closing, progress, reads, requests
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from workflows.messages import BillFigures, CloseAnswer, Heard, Requests, figures_of


class BillActivities:
    """Bound to one engine. A database out of reach is an ordinary failure that Temporal retries for ever."""

    def __init__(self, engine: Engine, *, samples: bool):
        self._engine = engine
        self._samples = samples

    def all(self) -> list[Callable[..., Any]]:
        return [self.close_bill, self.carry_out_requests, self.record_heard]

    @activity.defn
    def close_bill(self, bill_id: str) -> CloseAnswer:
        """Closes the bill if that is due; else says how long until it is."""
        with _missing_is_final():
            outcome = closing.close_bill(self._engine, _origin(), UUID(bill_id), samples=self._samples)
            if isinstance(outcome, closing.NotYet):
                wait_s = outcome.wait / timedelta(seconds=1)
                return CloseAnswer(figures_of(reads.bill(self._engine, UUID(bill_id))), wait_s)
            return CloseAnswer(figures_of(outcome))

    @activity.defn
    def carry_out_requests(self, asked: Requests) -> BillFigures:
        """Decides stored requests; answers the bill as it is afterwards. Open to other workflows of the namespace."""
        with _missing_is_final():
            for request_id in asked.request_ids:
                requests.carry_out(self._engine, UUID(asked.bill_id), UUID(request_id))
            return figures_of(reads.bill(self._engine, UUID(asked.bill_id)))

    @activity.defn
    def record_heard(self, heard: Heard) -> None:
        with _missing_is_final():
            progress.record_heard(self._engine, UUID(heard.bill_id), heard.version, finished=heard.finished)


def _origin() -> Origin:
    info = activity.info()
    return Origin(Actor(ActorKind.WORKFLOW, info.workflow_id or "", "Bill workflow"), BILLING_ACCOUNT, info.activity_id)


class _missing_is_final:  # noqa: N801  reads as the statement it is
    """No repetition makes an unknown bill or request known."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NotFound):
            raise ApplicationError(error.message, type=error.reason, non_retryable=True) from error
