"""What is due or behind, in batches: the safety net of everything that can be missed.

It needs Postgres alone for what concerns money; Temporal only to tell workflows what they have missed.
Any number of workers may sweep at once: bills locked by one are passed over by the others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Engine
from temporalio.client import Client

from billing.errors import BillingError
from billing.exchange.refreshing import refresh_if_due
from billing.ledger import (
    closing,
    events,
    import_retention,
    modes,
    progress,
    requests,
    rollups,
    sealing,
    webhook_log,
    webhook_removal,
)
from billing.origin import by_the_system
from billing.settings import Settings
from workflows import metrics
from workflows.catching_up import REST_AFTER_A_LOOK, CatchingUp
from workflows.starting_imports import StartingImports
from workflows.telling import translated
from workflows.threads import in_thread, own_threads
from workflows.waking import Waking
from workflows.watching import Watch

log = structlog.get_logger(__name__)

BATCH = 500
# New bills may be due sooner than any seen when falling asleep.
LONGEST_SLEEP_S = 0.5
WORKFLOW_PATIENCE = timedelta(seconds=3)
REQUEST_PATIENCE = timedelta(seconds=5)
SIGNAL_PATIENCE = timedelta(seconds=15)
CATCH_UP_EVERY_S = 3.0
REQUESTS_BATCH = 200
RATES_EVERY_S = 10.0
BEAT_EVERY_S = 5.0
COUNT_EVERY_S = 2.0
SEAL_EVERY_S = 10.0
LOOK_BEHIND_EVERY_S = 15.0
LOOK_BEHIND_AT_LEAST_EVERY_S = 600.0
RECONCILE_EVERY_S = 5.0
WAKE_WEBHOOKS_EVERY_S = 0.5
FORGET_WEBHOOKS_EVERY_S = 600.0
CLEAR_WEBHOOKS_EVERY_S = 5.0
START_IMPORTS_EVERY_S = 0.5
FORGET_IMPORTS_EVERY_S = 600.0
BEHIND_PATIENCE = timedelta(minutes=2)
AFTER_FAILURE_S = 1.0
# What is tried out takes few of a worker's threads, and none that close live bills.
THREADS, TEST_THREADS = 6, 3


class Sweep:
    """Runs until cancelled; each of its rounds fails alone and comes again.

    Of the ledger of test mode only what bills and webhooks there need: nobody is told where it differs, and its log
    isn't sealed.
    """

    def __init__(self, engine: Engine, settings: Settings, client: Callable[[], Client | None]):
        self._engine = engine
        self._settings = settings
        self._client = client
        self._name = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._catching_up = CatchingUp(engine, settings.temporal_task_queue)
        self._watch = Watch(engine, settings.temporal_task_queue)
        self._waking = Waking(engine, settings.temporal_task_queue)
        self._starting_imports = StartingImports(engine, settings.temporal_task_queue)

    async def run(self) -> None:
        is_test = modes.is_test(self._engine)
        async with own_threads(TEST_THREADS if is_test else THREADS, "sweep-test" if is_test else "sweep"):
            await self._rounds(is_test=is_test)

    async def _rounds(self, *, is_test: bool) -> None:
        again = partial(_again, is_test=is_test)
        of_a_ledger = (
            again(self.close_due),
            again(self.catch_up, CATCH_UP_EVERY_S),
            again(self.carry_out_requests, CATCH_UP_EVERY_S),
            again(self.count, COUNT_EVERY_S),
            again(self.wake_webhooks, WAKE_WEBHOOKS_EVERY_S),
            again(self.forget_webhooks, FORGET_WEBHOOKS_EVERY_S),
            again(self.clear_webhooks, CLEAR_WEBHOOKS_EVERY_S),
            again(self.start_imports, START_IMPORTS_EVERY_S),
            again(self.forget_imports, FORGET_IMPORTS_EVERY_S),
        )
        if is_test:
            await asyncio.gather(*of_a_ledger)
            return
        await asyncio.gather(
            *of_a_ledger,
            again(self.refresh_rates, RATES_EVERY_S),
            again(self.beat, BEAT_EVERY_S),
            again(self.seal, SEAL_EVERY_S),
            again(self.look_behind, LOOK_BEHIND_EVERY_S),
            again(self.reconcile, RECONCILE_EVERY_S),
        )

    async def close_due(self) -> float:
        """Closes what is due; answers for how long nothing will be."""
        origin = by_the_system(f"sweep/{self._name}")
        closed = await in_thread(
            closing.close_due,
            self._engine,
            origin,
            limit=BATCH,
            samples=self._settings.sample_rates,
            patience=WORKFLOW_PATIENCE,
        )
        if closed:
            if not modes.is_test(self._engine):
                metrics.closed_by_sweep(len(closed))
            log.info("closed %d bills that were due", len(closed))
            await self._name_wishes(closed)
            return 0.0
        wait = await in_thread(closing.next_due, self._engine)
        until_next = LONGEST_SLEEP_S if wait is None else wait / timedelta(seconds=1)
        return min(max(until_next, 0.02), LONGEST_SLEEP_S)

    async def _name_wishes(self, closed: Sequence[UUID]) -> None:
        """Who looks for the request that wished a bill closed finds here that the sweep carried it out."""
        for bill_id, request_id in (await in_thread(events.wishes, self._engine, closed)).items():
            log.info("closed", bill_id=str(bill_id), request_id=request_id)

    async def catch_up(self) -> float | None:
        """Tells workflows what they have not heard; goes on at once when there is more."""
        client = self._client()
        has_more = client is not None and await self._catching_up.round(client, SIGNAL_PATIENCE)
        return 0.0 if has_more else None

    async def carry_out_requests(self) -> None:
        """Decides stored requests that no workflow took up."""
        pending = await in_thread(
            requests.left_pending, self._engine, older_than=REQUEST_PATIENCE, limit=REQUESTS_BATCH
        )
        for bill_id, request_id in pending:
            done = await in_thread(requests.carry_out, self._engine, bill_id, request_id)
            log.info("carried_out", bill_id=str(bill_id), request_id=done.asked_in, state=done.state)

    async def refresh_rates(self) -> None:
        await in_thread(refresh_if_due, self._engine, self._settings)

    async def beat(self) -> None:
        await in_thread(progress.beat, self._engine, self._name)

    async def count(self) -> float | None:
        """Lets the overview's sums follow the log; what is far behind goes on at once."""
        counted = await in_thread(rollups.follow, self._engine)
        return 0.0 if counted == rollups.BATCH else None

    async def seal(self) -> float | None:
        """Seals what was logged. The seal is in the log of this process too: where nobody who can write to the
        database can change it."""
        made = await in_thread(sealing.seal, self._engine)
        if made is not None:
            log.info("sealed", seal=made.name, events=made.count)
        return 0.0 if made is not None and made.count == sealing.BATCH else None

    async def look_behind(self) -> float:
        """Asks about every bill that isn't done: the longer that takes, the more seldom, also when too long."""
        began_s = time.monotonic()
        try:
            await in_thread(rollups.look_behind, self._engine, patience=BEHIND_PATIENCE)
        except BillingError as error:
            log.warning("workflows that are behind were not counted: %s", error)
        took_s = time.monotonic() - began_s
        return max(LOOK_BEHIND_EVERY_S, min(REST_AFTER_A_LOOK * took_s, LOOK_BEHIND_AT_LEAST_EVERY_S))

    async def reconcile(self) -> None:
        """Looks whether some more bills and their workflows agree; whichever worker is first does so."""
        await self._watch.round(self._client())

    async def wake_webhooks(self) -> None:
        """Starts the workflows of endpoints that something is to be sent to, and wakes those that sleep."""
        client = self._client()
        if client is not None:
            await self._waking.round(client)

    async def forget_webhooks(self) -> float | None:
        """What was sent a month ago; what is much goes on at once."""
        forgotten = await in_thread(webhook_log.prune, self._engine)
        return 0.0 if forgotten == webhook_log.PRUNED_AT_ONCE else None

    async def clear_webhooks(self) -> float | None:
        """What is left of endpoints that were deleted; what is much goes on at once."""
        has_more = await in_thread(webhook_removal.clear, self._engine)
        return 0.0 if has_more else None

    async def start_imports(self) -> None:
        """Starts the workflows of imports that aren't done."""
        client = self._client()
        if client is not None:
            await self._starting_imports.round(client)

    async def forget_imports(self) -> float | None:
        """The rows of a month ago; what is much goes on at once."""
        dropped = await in_thread(import_retention.prune, self._engine)
        return 0.0 if dropped == import_retention.DROPPED_AT_ONCE else None


async def _again(work: Callable[[], Awaitable[float | None]], every_s: float = 0.0, *, is_test: bool) -> None:
    """Metrics, which somebody may be woken for, are of live bills."""
    name = getattr(work, "__name__", "?")
    while True:
        try:
            wait_s = await work()
        except Exception as error:
            log.warning("sweep round %s%s failed: %s", name, " of test mode" if is_test else "", translated(error))
            outcome, wait_s = "failed", AFTER_FAILURE_S
        else:
            outcome = "done"
        if not is_test:
            metrics.swept(name, outcome)
        await asyncio.sleep(every_s if wait_s is None else wait_s)
