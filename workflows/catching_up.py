"""Telling workflows what they have not heard, at a pace that leaves the processors to those who add.

Several workers do so side by side: what one of them has claimed the others pass over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Engine
from temporalio.client import Client

from billing.bill import Bill
from billing.ledger import epochs, events, modes, progress
from workflows import causes, metrics
from workflows.messages import figures_of
from workflows.news import Notice
from workflows.pace import paced
from workflows.telling import tell, tell_the_last, translated
from workflows.threads import in_thread

log = structlog.get_logger(__name__)

BATCH = 200
# A look is paused for so many times as long as it took: a worker's looks take a twentieth of one of PostgreSQL's
# processors at most. But not for long, as after one that had to wait for PostgreSQL to come back.
REST_AFTER_A_LOOK = 20
LONGEST_REST_S = 10.0
# Twenty a second: what is behind must catch up within a minute.
AT_ONCE = 4
PAUSE_S = 0.2
# A month's end: ten thousand workflows end within minutes. So few at once, since those that end take turns with those
# who add: four end as many in a second as sixteen, and a client waits less for its turn.
ENDINGS_PER_S = 60
ENDINGS_AT_ONCE = 4
ENDINGS_RECORDED_AT_ONCE = 40
TELL_WAIT_S = 5.0
# Where so many in a row can't be told, and none before them, nobody can.
UNTOLD = 3 * AT_ONCE
# Where the machine is busy a workflow's turn comes late.
END_WAIT_S = 20.0


class CatchingUp:
    """Round by round through all that are behind, so that some that can't be told keep none of the others waiting."""

    def __init__(self, engine: Engine, task_queue: str):
        self._engine = engine
        self._task_queue = task_queue
        self._after: UUID | None = None
        self._rests_until = 0.0

    async def round(self, client: Client, quiet_for: timedelta) -> bool:
        """Starts workflows that don't run, tells those that run what they have not heard, lets those of closed bills
        end; whether there may be more."""
        await asyncio.sleep(max(0.0, self._rests_until - time.monotonic()))
        # Before the bills are read: figures of none may claim a later epoch than theirs.
        epoch = await in_thread(epochs.current, self._engine)
        behind = await self._look(quiet_for)
        is_full = len(behind.bills) == BATCH
        # Before anything can fail: the next round goes on behind these, whatever becomes of them.
        self._after = behind.go_on_after
        try:
            if behind.bills:
                log.info("telling workflows what they have not heard", count=len(behind.bills))
            await self._let_end(client, [bill for bill in behind.bills if bill.is_closed], epoch)
            await self._tell_some(client, [bill for bill in behind.bills if not bill.is_closed], epoch)
        finally:
            await in_thread(behind.release)
        return is_full

    async def _look(self, quiet_for: timedelta) -> progress.Behind:
        claim = partial(progress.claim_behind, quiet_for=quiet_for, limit=BATCH, after=self._after)
        began = time.monotonic()
        behind = await in_thread(claim, self._engine)
        ended = time.monotonic()
        self._rests_until = ended + min(REST_AFTER_A_LOOK * (ended - began), LONGEST_REST_S)
        return behind

    async def _tell_some(self, client: Client, bills: Sequence[Bill], epoch: int) -> None:
        """Those that can't be told keep none of the others waiting. Raises when none could be: then it is Temporal."""
        asked = await self._requests_behind(bills)
        told = 0
        for first in range(0, len(bills), AT_ONCE):
            some = bills[first : first + AT_ONCE]
            telling = (self._tell(client, bill, epoch, asked.get(bill.id)) for bill in some)
            outcomes = await asyncio.gather(*telling, return_exceptions=True)
            failures = [(bill, error) for bill, error in zip(some, outcomes, strict=True) if error is not None]
            told += len(some) - len(failures)
            if failures and not told and first + len(some) >= min(UNTOLD, len(bills)):
                raise failures[0][1]
            for bill, error in failures:
                log.warning("a workflow was not told", bill_id=str(bill.id), error=str(translated(error)))
            await asyncio.sleep(PAUSE_S)

    async def _tell(self, client: Client, bill: Bill, epoch: int, request_id: str | None) -> None:
        notice = Notice(str(bill.id), figures_of(bill, epoch), start=True, cause=_cause(request_id))
        await asyncio.wait_for(tell(client, self._task_queue, notice), TELL_WAIT_S)
        self._count_told(1)
        log.info("told", bill_id=str(bill.id), version=bill.version, request_id=request_id)

    async def _let_end(self, client: Client, closed: Sequence[Bill], epoch: int) -> None:
        """Records those whose workflow ended; the others come again."""
        asked = await self._requests_behind(closed)
        ended: dict[UUID, int] = {}

        async def end(bill: Bill) -> None:
            if await self._has_ended(client, epoch, asked, bill):
                ended[bill.id] = bill.version
            if len(ended) >= ENDINGS_RECORDED_AT_ONCE:
                await self._record_ended(ended, epoch)

        await paced(end, closed, at_once=ENDINGS_AT_ONCE, per_s=ENDINGS_PER_S)
        await self._record_ended(ended, epoch)

    async def _record_ended(self, ended: dict[UUID, int], epoch: int) -> None:
        """Takes them out of `ended`."""
        versions = dict(ended)
        ended.clear()
        await in_thread(progress.record_ended, self._engine, versions, epoch=epoch)
        self._count_told(len(versions))

    def _count_told(self, workflows: int) -> None:
        if not modes.is_test(self._engine):
            metrics.told_by_sweep(workflows)

    async def _has_ended(self, client: Client, epoch: int, asked: Mapping[UUID, str], bill: Bill) -> bool:
        try:
            with causes.acting_for(_cause(asked.get(bill.id))):
                last = tell_the_last(client, self._task_queue, figures_of(bill, epoch))
                return await asyncio.wait_for(last, END_WAIT_S)
        except Exception as error:
            log.warning("a closed bill's workflow has not ended", bill_id=str(bill.id), error=str(translated(error)))
            return False

    async def _requests_behind(self, bills: Sequence[Bill]) -> Mapping[UUID, str]:
        """The request that brought each to its version, where it was one."""
        versions = {bill.id: bill.version for bill in bills}
        return await in_thread(events.request_ids, self._engine, versions)


def _cause(request_id: str | None) -> dict[str, str]:
    return {causes.REQUEST_ID: request_id} if request_id else {}
