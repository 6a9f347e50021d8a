"""What touches the world for a bill's workflow: thin calls of the ledger, each safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from billing.errors import IdempotencyInProgress, NotFound, Unavailable
from billing.identifiers import parse_id
from billing.ledger import closing, epochs, progress, reads, requests
from billing.logs import bound_request_id
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from workflows.messages import BillFigures, CloseAnswer, Heard, Requests, figures_of

log = structlog.get_logger(__name__)


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
        with in_temporals_words():
            epoch = epochs.current(self._engine)
            outcome = closing.close_bill(self._engine, _origin(), UUID(bill_id), samples=self._samples)
            if isinstance(outcome, closing.NotYet):
                wait_s = outcome.wait / timedelta(seconds=1)
                return CloseAnswer(figures_of(reads.bill(self._engine, UUID(bill_id)), epoch), wait_s)
            return CloseAnswer(figures_of(outcome, epoch))

    @activity.defn
    def carry_out_requests(self, asked: Requests) -> BillFigures:
        """Decides stored requests; answers the bill as it is afterwards. Open to other workflows of the namespace."""
        with in_temporals_words():
            for request_id in asked.request_ids:
                self._carry_out(UUID(asked.bill_id), request_id)
            epoch = epochs.current(self._engine)
            return figures_of(reads.bill(self._engine, UUID(asked.bill_id)), epoch)

    def _carry_out(self, bill_id: UUID, request_id: str) -> None:
        """An id that nobody stored is passed over: anybody may signal anything, and the bill must live on."""
        try:
            done = requests.carry_out(self._engine, bill_id, parse_id(request_id, requests.LineItemRequestNotFound))
            log.info("carried_out", bill_id=str(bill_id), request_id=done.asked_in, state=done.state)
        except requests.LineItemRequestNotFound:
            log.warning("bill %s has no stored request that a signal named", bill_id)

    @activity.defn
    def record_heard(self, heard: Heard) -> BillFigures | None:
        """Answers the bill when there is more to do for it than to hear: somebody wished it closed, or it is closed.

        A workflow that was started from news of long ago learns from it that its bill's life is over.
        """
        with in_temporals_words():
            bill_id = UUID(heard.bill_id)
            progress.record_heard(self._engine, bill_id, heard.version, finished=heard.finished, epoch=heard.epoch)
            epoch = epochs.current(self._engine)
            bill = reads.bill(self._engine, bill_id)
            return None if bill.is_open else figures_of(bill, epoch)


def _origin() -> Origin:
    """The request is the one that asked the workflow, where one did: it stands in the event as in the wish."""
    info = activity.info()
    actor = Actor(ActorKind.WORKFLOW, info.workflow_id or "", "Bill workflow")
    return Origin(actor, BILLING_ACCOUNT, bound_request_id() or info.activity_id)


@contextmanager
def in_temporals_words() -> Iterator[None]:
    """No repetition makes an unknown bill known; a database out of reach comes back, and is no fault of ours."""
    try:
        yield
    except NotFound as error:
        raise ApplicationError(error.message, type=error.reason, non_retryable=True) from error
    except (Unavailable, IdempotencyInProgress) as error:
        category = ApplicationErrorCategory.BENIGN
        raise ApplicationError(error.message, type=error.reason, category=category) from error
