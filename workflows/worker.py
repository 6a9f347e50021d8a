"""The worker process: the workflows' and activities' host, and the sweep. `python -m workflows.worker`"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from billing.ledger.engines import create_engine, create_test_engine
from billing.logs import configure as configure_logging
from billing.settings import Settings
from workflows import scraping, tracing, worker_metrics
from workflows.activities import BillActivities
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.import_worker import import_worker
from workflows.sweep import Sweep
from workflows.telling import translated
from workflows.webhook_worker import webhook_worker

log = logging.getLogger(__name__)

ACTIVITIES_AT_ONCE = 16
RECONNECT_S = 1.0
CONNECT_WAIT_S = 10.0
# A workflow's next turn is offered to the worker that remembers it, and after so long to any: those of a worker that
# died are taken over within the time that a close waits for its workflow.
REMEMBERED_WAIT = timedelta(seconds=1)
# The SDK's sandbox loads the workflow's module anew for each bill that isn't remembered: 10 ms of a processor each.
# Tests run the workflow in it, and find what it would catch.
UNSANDBOXED = UnsandboxedWorkflowRunner()
# Which code took a turn, as its run's history says. The SDK's own id, of every module that is loaded, takes 0.13 s of
# processor time at each start.
BUILD_ID = sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()[:16]

SEARCH_ATTRIBUTES = {
    "CustomerId": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "BillStatus": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "PeriodEnd": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}


class BillingWorker:
    """Sweeps from the first moment, with or without Temporal; serves workflows whenever Temporal is there. Both of the
    live ledger and of test mode, whose workflows have queues and threads of their own."""

    def __init__(self, settings: Settings, engine: Engine, runtime: Runtime | None = None):
        self._settings = settings
        self._engine = engine
        self._test_engine = create_test_engine(settings.database_url)
        self._runtime = runtime
        self._client: Client | None = None

    async def run(self) -> None:
        ledgers = ((self._settings, self._engine), (self._settings.in_test_mode, self._test_engine))
        sweeps = (Sweep(engine, settings, lambda: self._client) for settings, engine in ledgers)
        await asyncio.gather(*(sweep.run() for sweep in sweeps), self._serve())

    async def _serve(self) -> None:
        while True:
            try:
                client = await asyncio.wait_for(connect(self._settings, self._runtime), CONNECT_WAIT_S)
                registering = register_search_attributes(client, self._settings.temporal_namespace)
                await asyncio.wait_for(registering, CONNECT_WAIT_S)
                self._client = client
                # Receivers that are slow and files that are long take no turn of a bill's: theirs are other queues.
                test = self._settings.in_test_mode
                async with (
                    webhook_worker(client, self._settings, self._engine, BUILD_ID),
                    import_worker(client, self._settings, self._engine, BUILD_ID),
                    webhook_worker(client, test, self._test_engine, BUILD_ID),
                    import_worker(client, test, self._test_engine, BUILD_ID),
                    bill_worker(client, test, self._test_engine),
                ):
                    await bill_worker(client, self._settings, self._engine).run()
            except Exception as error:
                log.warning("no Temporal: %s", translated(error))
                await asyncio.sleep(RECONNECT_S)


def bill_worker(client: Client, settings: Settings, engine: Engine, runner: WorkflowRunner = UNSANDBOXED) -> Worker:
    """Serves BillWorkflow and its activities until it is cancelled."""
    return Worker(
        client,
        task_queue=settings.temporal_task_queue,
        workflows=[BillWorkflow],
        workflow_runner=runner,
        activities=BillActivities(engine, samples=settings.sample_rates).all(),
        activity_executor=ThreadPoolExecutor(ACTIVITIES_AT_ONCE, thread_name_prefix="activity"),
        max_concurrent_activities=ACTIVITIES_AT_ONCE,
        sticky_queue_schedule_to_start_timeout=REMEMBERED_WAIT,
        build_id=BUILD_ID,
        graceful_shutdown_timeout=timedelta(seconds=5),
    )


async def register_search_attributes(client: Client, namespace: str) -> None:
    """An unregistered attribute would wedge every bill. Where it isn't allowed, an operator has registered them."""
    operator = client.operator_service
    try:
        known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
        missing = {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in known.custom_attributes}
        if missing:
            await operator.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes=missing)
            )
    except RPCError as error:
        log.warning("search attributes were not checked: %s", error.status.name)


async def _until_told_to_stop(settings: Settings, runtime: Runtime | None) -> None:
    engine = create_engine(settings.database_url)
    work = asyncio.create_task(BillingWorker(settings, engine, runtime).run())
    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped")


def _runtime(settings: Settings) -> Runtime | None:
    """The SDK's own when nobody asks for metrics. That their port is taken is no reason to close no bills."""
    address = scraping.address_in(os.environ, "WORKER_METRICS_PORT")
    try:
        return worker_metrics.serve(settings, address) if address else None
    except OSError as error:
        log.warning("no metrics at port %d: %s", address[1] if address else 0, error.strerror)
        return None


def main() -> None:
    configure_logging((os.environ.get("LOG_LEVEL") or "INFO").upper())
    settings = Settings.from_environment(os.environ)
    tracing.start("pave-worker")
    asyncio.run(_until_told_to_stop(settings, _runtime(settings)))
    tracing.stop()
    # The SDK can abort at interpreter exit after all work is done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
