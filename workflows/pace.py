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
    """What came of each, in order. Begins one every 1/`per_s` seconds, later when `at_once` are under way."""
    free = asyncio.Semaphore(at_once)

    async def one(thing: Thing) -> Done:
        try:
            return await work(thing)
        finally:
            free.release()

    async with asyncio.TaskGroup() as under_way:
        begun = []
        for thing in things:
            await free.acquire()
            begun.append(under_way.create_task(one(thing)))
            await asyncio.sleep(1 / per_s)
    return [task.result() for task in begun]
