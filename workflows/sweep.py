"""What is due or behind, in batches: the safety net of everything that can be missed.

It needs Postgres alone for what concerns money; Temporal only to tell workflows what they have missed.
Any number of workers may sweep at once: bills locked by one are passed over by the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import Engine
from temporalio.client import Client

from billing.bill import Bill
from billing.exchange.refreshing import refresh_if_due
from billing.ledger import closing, progress, requests, rollups
from billing.origin import by_the_system
from billing.settings import Settings
from workflows.messages import figures_of
from workflows.news import Notice
from workflows.telling import tell, translated

log = logging.getLogger(__name__)

BATCH = 500
# New bills may be due sooner than any seen when falling asleep.
LONGEST_SLEEP_S = 0.5
WORKFLOW_PATIENCE = timedelta(seconds=3)
REQUEST_PATIENCE = timedelta(seconds=5)
SIGNAL_PATIENCE = timedelta(seconds=15)
CATCH_UP_EVERY_S = 3.0
CATCH_UP_BATCH = 200
# Twenty a second: what is behind must catch up within a minute, and leave the processors to those who add.
CATCH_UP_AT_ONCE = 4
CATCH_UP_PAUSE_S = 0.2
RATES_EVERY_S = 10.0
BEAT_EVERY_S = 5.0
COUNT_EVERY_S = 2.0
LOOK_BEHIND_EVERY_S = 15.0
BEHIND_PATIENCE = timedelta(minutes=2)
TELL_WAIT_S = 5.0
AFTER_FAILURE_S = 1.0


class Sweep:
    """Runs until cancelled; each of its rounds fails alone and comes again."""

    def __init__(self, engine: Engine, settings: Settings, client: Callable[[], Client | None]):
        self._engine = engine
        self._settings = settings
        self._client = client
        self._name = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._behind_after: UUID | None = None

    async def run(self) -> None:
        await asyncio.gather(
            _again(self.close_due),
            _again(self.catch_up, CATCH_UP_EVERY_S),
            _again(self.carry_out_requests, CATCH_UP_EVERY_S),
            _again(self.refresh_rates, RATES_EVERY_S),
            _again(self.beat, BEAT_EVERY_S),
            _again(self.count, COUNT_EVERY_S),
            _again(self.look_behind, LOOK_BEHIND_EVERY_S),
        )

    async def close_due(self) -> float:
        """Closes what is due; answers for how long nothing will be."""
        origin = by_the_system(f"sweep/{self._name}")
        closed = await asyncio.to_thread(
            closing.close_due,
            self._engine,
            origin,
            limit=BATCH,
            samples=self._settings.sample_rates,
            patience=WORKFLOW_PATIENCE,
        )
        if closed:
            log.info("closed %d bills that were due", len(closed))
            return 0.0
        wait = await asyncio.to_thread(closing.next_due, self._engine)
        until_next = LONGEST_SLEEP_S if wait is None else wait / timedelta(seconds=1)
        return min(max(until_next, 0.02), LONGEST_SLEEP_S)

    async def catch_up(self) -> None:
        """Starts workflows that don't run, and tells those that run what they have not heard."""
        client = self._client()
        if client is None:
            return
        behind = await asyncio.to_thread(
            progress.behind,
            self._engine,
            quiet_for=SIGNAL_PATIENCE,
            limit=CATCH_UP_BATCH,
            after=self._behind_after,
        )
        # Round by round through all of them, so that some that can't be told keep none of the others waiting.
        self._behind_after = behind[-1].id if len(behind) == CATCH_UP_BATCH else None
        if behind:
            log.info("telling %d workflows what they have not heard", len(behind))
        for first in range(0, len(behind), CATCH_UP_AT_ONCE):
            await asyncio.gather(*(self._tell(client, bill) for bill in behind[first : first + CATCH_UP_AT_ONCE]))
            await asyncio.sleep(CATCH_UP_PAUSE_S)

    async def _tell(self, client: Client, bill: Bill) -> None:
        notice = Notice(str(bill.id), figures_of(bill), start=True)
        await asyncio.wait_for(tell(client, self._settings.temporal_task_queue, notice), TELL_WAIT_S)

    async def carry_out_requests(self) -> None:
        """Decides stored requests that no workflow took up."""
        pending = await asyncio.to_thread(
            requests.left_pending, self._engine, older_than=REQUEST_PATIENCE, limit=CATCH_UP_BATCH
        )
        for bill_id, request_id in pending:
            await asyncio.to_thread(requests.carry_out, self._engine, bill_id, request_id)

    async def refresh_rates(self) -> None:
        await asyncio.to_thread(refresh_if_due, self._engine, self._settings)

    async def beat(self) -> None:
        await asyncio.to_thread(progress.beat, self._engine, self._name)

    async def count(self) -> float | None:
        """Lets the overview's sums follow the log; what is far behind goes on at once."""
        counted = await asyncio.to_thread(rollups.follow, self._engine)
        return 0.0 if counted == rollups.BATCH else None

    async def look_behind(self) -> None:
        await asyncio.to_thread(rollups.look_behind, self._engine, patience=BEHIND_PATIENCE)


async def _again(work: Callable[[], Awaitable[float | None]], every_s: float = 0.0) -> None:
    while True:
        try:
            wait_s = await work()
        except Exception as error:
            log.warning("sweep round %s failed: %s", getattr(work, "__name__", "?"), translated(error))
            wait_s = AFTER_FAILURE_S
        await asyncio.sleep(every_s if wait_s is None else wait_s)
