"""Where a sweep's questions to the database run: in threads of its own, so that no sweep waits for another's.

What is asked outside of any sweep runs where asyncio runs such things.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_OWN: ContextVar[ThreadPoolExecutor | None] = ContextVar("own_threads", default=None)


@asynccontextmanager
async def own_threads(most: int, name: str) -> AsyncIterator[None]:
    """For this task and those that it begins. At the end what still runs in them is waited for."""
    threads = ThreadPoolExecutor(most, thread_name_prefix=name)
    before = _OWN.set(threads)
    try:
        yield
    finally:
        _OWN.reset(before)
        await asyncio.to_thread(threads.shutdown, cancel_futures=True)


async def in_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As asyncio.to_thread."""
    call: Callable[[], Any] = partial(copy_context().run, function, *args, **kwargs)
    result: R = await asyncio.get_running_loop().run_in_executor(_OWN.get(), call)
    return result
