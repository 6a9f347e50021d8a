"""Many small works, some at once, at no more than so many a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")
Done = TypeVar("Done")


async def paced(
    work: Callable[[Thing], Awaitable[Done]], things: Sequence[Thing], at_once: int, per_s: float
) -> list[Done]:
    """What came of each, in order. It begins `per_s` a second at most, fewer where `at_once` are still under way."""
    free = asyncio.Semaphore(at_once)
    loop = asyncio.get_running_loop()
    first = loop.time()

    async def one(thing: Thing) -> Done:
        try:
            return await work(thing)
        finally:
            free.release()

    async with asyncio.TaskGroup() as under_way:
        begun: list[asyncio.Task[Done]] = []
        for thing in things:
            await free.acquire()
            # By the clock and not by a sleep each, which on a busy machine is longer than asked for.
            await asyncio.sleep(max(0.0, first + len(begun) / per_s - loop.time()))
            begun.append(under_way.create_task(one(thing)))
    return [task.result() for task in begun]
