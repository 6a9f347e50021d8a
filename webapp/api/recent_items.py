"""The newest items of a bill as JSON, remembered: items never change, so each is rendered once.

Every answer about a bill shows its newest 100 items. Kept per process as one window of adjoining
positions a bill; what another process added is read, and nothing else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from billing.bill import RECENT_ITEMS, Bill, LineItem
from billing.ledger import reads
from webapp.api import render

BILLS_KEPT = 500


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

    def of(self, engine: Engine, bill: Bill, added: LineItem | None = None) -> tuple[str, ...]:
        """The newest items of the bill as this value of it counts them, oldest of them first.

        `added` is one that the caller has at hand: often the only one not yet known.
        """
        last = bill.item_count
        first = max(1, last - RECENT_ITEMS + 1)
        window = self._windows.get(bill.id)
        if window is None or window.first > first or window.last < first - 1:
            window = _Window(first, ())
        if window.last < last:
            window = self._extended(engine, bill, window, added)
            self._keep(bill.id, _Window(first, window.between(first, last)))
        return window.between(first, last)

    def _extended(self, engine: Engine, bill: Bill, window: _Window, added: LineItem | None) -> _Window:
        missing = bill.item_count - window.last
        if missing == 1 and added is not None and added.position == bill.item_count:
            items = [added]
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
