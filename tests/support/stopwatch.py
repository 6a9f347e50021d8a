"""How long something took, less what the machine itself stood still meanwhile.

    with stopwatch() as took:
        page = open_it()
    assert took.s < 5

A thread ticks beside what is measured. Where two ticks lie far apart nobody had the processor: a machine that
pauses, or has other work, makes nothing late that a limit is about. What waits, waits while the ticks go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TICK_S = 0.02
# Between two ticks no more than this counts.
MOST_S = 0.1


@dataclass
class Took:
    """Seconds; grows while it is measured."""

    s: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Took]:
    took, done = Took(), threading.Event()

    def tick() -> None:
        last_s, ended = time.monotonic(), False
        while not ended:
            ended = done.wait(TICK_S)
            now_s = time.monotonic()
            took.s += min(now_s - last_s, MOST_S)
            last_s = now_s

    ticking = threading.Thread(target=tick, name="stopwatch")
    ticking.start()
    try:
        yield took
    finally:
        done.set()
        ticking.join()


def tries(*, within_s: float, most: int = 5) -> Iterator[int]:
    """Numbers from 1 on, until what was done with one took no longer: for what several processes do together.

    What is always too late fails; what a busy machine made late once is done again.
    """
    took_s: list[float] = []
    for number in range(1, most + 1):
        began_s = time.monotonic()
        yield number
        took_s.append(time.monotonic() - began_s)
        if took_s[-1] <= within_s:
            return
    raise AssertionError(f"it took {', '.join(f'{one:.2f}' for one in took_s)} s, never {within_s} s or less")
