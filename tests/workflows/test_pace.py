"""Many small works at a pace."""

from __future__ import annotations

import asyncio
import time

from workflows.pace import paced


def test_what_came_of_each_is_in_order_and_no_more_are_under_way_than_may() -> None:
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 * (10 - number % 10))
        under_way -= 1
        return number

    assert asyncio.run(paced(work, range(40), at_once=3, per_s=10_000)) == list(range(40))
    assert most == 3


def test_no_more_begin_in_a_second_than_may() -> None:
    async def work(_number: int) -> None: ...

    began = time.monotonic()
    asyncio.run(paced(work, range(10), at_once=10, per_s=50))
    assert time.monotonic() - began >= 0.18
