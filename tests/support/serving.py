"""A worker in a thread of the tests' own process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from billing.settings import Settings
from workflows.connection import connect
from workflows.worker import bill_worker, register_search_attributes


@contextmanager
def worker_without_sweep(settings: Settings, engine: Engine) -> Iterator[None]:
    """Workflows and activities, and nothing that would set right what a test is about."""
    serving, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        client = await connect(settings)
        await register_search_attributes(client, settings.temporal_namespace)
        async with bill_worker(client, settings, engine):
            serving.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert serving.wait(30)
        yield
    finally:
        stop.set()
        thread.join()
