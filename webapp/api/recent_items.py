"""The newest items of a bill as JSON, remembered: items never change, so each is rendered once.

Every answer about a bill shows its newest 100 items. Kept per process as one window of adjoining
positions a bill; what another process added is read, and nothing else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from billing.bill import RECENT_ITEMS, Bill, LineItem
from billing.ledger import reads
from webapp.api import render

BILLS_KEPT = 500
# Those who added at the same time ask for the bill as each of them left it, in any order.
OLDER_KEPT = 64
LOCKS = 64


@dataclass(frozen=True, slots=True)
class _Window:
    """JSON texts of the items from position `first` on."""

    first: int
    texts: tuple[str, ...]

    @property
    def last(self) -> int:
        return self.first + len(self.texts) - 1

    def between(self, first: int, last: int) -> tuple[str, ...]:
        return self.texts[first - self.first : last - self.first + 1]


class RecentItems:
    """Safe for threads: windows are immutable and replaced as a whole."""

    def __init__(self) -> None:
        self._windows: OrderedDict[UUID, _Window] = OrderedDict()
        self._lock = threading.Lock()
        self._extending = [threading.Lock() for _ in range(LOCKS)]

    def of(self, engine: Engine, bill: Bill, known: Sequence[LineItem] = ()) -> tuple[str, ...]:
        """The newest items of the bill as this value of it counts them, oldest of them first.

        `known` are the newest that the caller has at hand: often all that aren't remembered yet.
        """
        last = bill.item_count
        first = max(1, last - RECENT_ITEMS + 1)
        window = self._windows.get(bill.id)
        if window is None or window.last < last:
            # One after the other, so that what many lack is read and rendered once.
            with self._extending[bill.id.int % LOCKS]:
                window = self._reaching(engine, bill, first, known)
        elif window.first > first:
            window = self._extended(engine, bill, _Window(first, ()), known)
        return window.between(first, last)

    def _reaching(self, engine: Engine, bill: Bill, first: int, known: Sequence[LineItem]) -> _Window:
        window = self._windows.get(bill.id)
        if window is None or window.first > first or window.last < first - 1:
            window = _Window(first, ())
        if window.last < bill.item_count:
            window = self._extended(engine, bill, window, known)
            oldest = max(window.first, first - OLDER_KEPT)
            self._keep(bill.id, _Window(oldest, window.between(oldest, window.last)))
        return window

    def _extended(self, engine: Engine, bill: Bill, window: _Window, known: Sequence[LineItem]) -> _Window:
        missing = bill.item_count - window.last
        if 0 < missing <= len(known) and known[-1].position == bill.item_count:
            items = list(known[-missing:])
        else:
            items = reads.newest_items(engine, bill, limit=missing)
        return _Window(window.first, window.texts + tuple(render.line_item(item) for item in items))

    def _keep(self, bill_id: UUID, window: _Window) -> None:
        with self._lock:
            known = self._windows.get(bill_id)
            if known is None or known.last < window.last:
                self._windows[bill_id] = window
            self._windows.move_to_end(bill_id)
            if len(self._windows) > BILLS_KEPT:
                self._windows.popitem(last=False)
