"""Requests that wait for the log to grow: within bounds, and one thread a process looks for all of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from billing.ledger.events import LogPosition

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
# Of one account in one process: whoever waits more often than that is answered at once.
PER_ACCOUNT = 2


class LogWatch:
    """`read_head`: up to where the log can be read now. `most`: how many requests may wait at once, each of which
    holds a thread of the server, and no connection to the database. Nothing runs while nobody waits."""

    def __init__(self, read_head: Callable[[], LogPosition], is_stopping: Callable[[], bool], *, most: int) -> None:
        self._read_head = read_head
        self._is_stopping = is_stopping
        self._most = most
        self._changed = threading.Condition()
        self._waiting: Counter[UUID] = Counter()
        self._head: LogPosition | None = None
        self._failures = 0
        self._reader: threading.Thread | None = None

    @contextmanager
    def place(self, account_id: UUID) -> Iterator[bool]:
        """Whether this caller may wait."""
        with self._changed:
            is_full = self._waiting.total() >= self._most or self._waiting[account_id] >= PER_ACCOUNT
            if is_full or self._is_stopping():
                has_place = False
            else:
                has_place = True
                self._waiting[account_id] += 1
                self._begin()
        try:
            yield has_place
        finally:
            if has_place:
                with self._changed:
                    self._waiting -= Counter((account_id,))
                    self._changed.notify_all()

    def wait_beyond(self, after: LogPosition, until_s: float) -> bool:
        """Whether there may be something after this position. False when it is time to answer without: at that moment
        of the monotonic clock, or when the process is about to end. Only for who has a place."""
        with self._changed:
            failures = self._failures
            while not self._is_stopping():
                if self._failures != failures or _is_beyond(self._head, after):
                    return True  # who reads will see what is the matter
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(left_s, 2 * LOOK_EVERY_S))
            return False

    def close(self) -> None:
        """Nothing is read any more once this returns; called when the process is stopping."""
        with self._changed:
            reader = self._reader
            self._changed.notify_all()
        if reader is not None:
            reader.join()

    def _begin(self) -> None:
        if self._reader is None:
            self._head = None
            reader = threading.Thread(target=self._look, name="log-watch", daemon=True)
            reader.start()
            self._reader = reader

    def _look(self) -> None:
        while True:
            failed, head = False, None
            try:
                head = self._read_head()
            except Exception as error:
                log.warning("log_watch_failed", error=type(error).__qualname__)
                failed = True
            with self._changed:
                self._head = head
                self._failures += failed
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_over, LOOK_EVERY_S)
                if self._is_over:
                    self._reader = None
                    return

    @property
    def _is_over(self) -> bool:
        return not self._waiting.total() or self._is_stopping()


def _is_beyond(head: LogPosition | None, after: LogPosition) -> bool:
    return head is not None and (head.xid, head.seq) > (after.xid, after.seq)
