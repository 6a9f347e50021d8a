"""What workflows are to be told: the newest of each bill, within a budget.

Telling a workflow costs Temporal and the worker some thirty milliseconds of processor time, twelve times what an item
costs (docs/decisions/0006-signals.md). So the first change of a quiet bill is told at once, further ones are merged for
some seconds, and a process sends a few a second at most.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workflows.messages import BillFigures

SIGNALS_PER_S = 5
SECONDS_BETWEEN_SIGNALS_OF_A_BILL = 10.0
# For what somebody waits for.
SECONDS_BETWEEN_URGENT_SIGNALS_OF_A_BILL = 1.0
# Beyond this, what is oldest is left to the sweep.
MOST_BILLS_WAITING = 10_000
MOST_REQUESTS_OF_A_BILL = 1_000
LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Notice:
    """How a bill stands, if it changed, and stored requests to hand over. `start`: the workflow may not run yet.

    `cause` are the ids of the request that changed it last (workflows/causes.py).
    """

    bill_id: str
    figures: BillFigures | None
    start: bool = False
    just_opened: bool = False
    period_changed: bool = False
    request_ids: tuple[str, ...] = ()
    cause: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def spacing_s(self) -> float:
        """How long after the last signal to the same bill this may go."""
        if self.request_ids or self.period_changed or self.start:
            return SECONDS_BETWEEN_URGENT_SIGNALS_OF_A_BILL
        return SECONDS_BETWEEN_SIGNALS_OF_A_BILL

    def merged(self, later: Notice) -> Notice:
        newest = _newest(self.figures, later.figures)
        request_ids = (self.request_ids + later.request_ids)[-MOST_REQUESTS_OF_A_BILL:]
        return replace(
            self,
            figures=newest,
            start=self.start or later.start,
            # The start carries the newest figures, whatever happened since the opening.
            just_opened=self.just_opened,
            period_changed=self.period_changed or later.period_changed,
            request_ids=request_ids,
            cause=later.cause or self.cause,
        )


def _newest(one: BillFigures | None, other: BillFigures | None) -> BillFigures | None:
    if one is None or other is None:
        return one or other
    return other if other.rank >= one.rank else one


class News:
    """Filled by any thread, emptied by one loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, tuple[float, Notice]] = OrderedDict()
        self._last_sent: OrderedDict[str, float] = OrderedDict()
        self._next_free = 0.0

    def put(self, notice: Notice) -> None:
        key = notice.bill_id
        with self._lock:
            since, known = self._waiting.get(key, (time.monotonic(), None))
            self._waiting[key] = (since, known.merged(notice) if known else notice)
            if len(self._waiting) > MOST_BILLS_WAITING:
                self._waiting.popitem(last=False)

    def lag_s(self) -> float:
        with self._lock:
            oldest = min((since for since, _ in self._waiting.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    async def next(self) -> Notice:
        """The oldest notice whose bill may be told again, as soon as the budget allows."""
        while True:
            now = time.monotonic()
            notice = self._take(now) if now >= self._next_free else None
            if notice is not None:
                self._next_free = now + 1 / SIGNALS_PER_S
                return notice
            await asyncio.sleep(LOOK_AGAIN_S if now >= self._next_free else self._next_free - now)

    def _take(self, now: float) -> Notice | None:
        with self._lock:
            for key, (_, notice) in self._waiting.items():
                if now - self._last_sent.get(key, -1e9) >= notice.spacing_s:
                    del self._waiting[key]
                    self._remember(key, now)
                    return notice
        return None

    def _remember(self, key: str, now: float) -> None:
        self._last_sent[key] = now
        self._last_sent.move_to_end(key)
        while self._last_sent and now - next(iter(self._last_sent.values())) > SECONDS_BETWEEN_SIGNALS_OF_A_BILL:
            self._last_sent.popitem(last=False)
