"""Who watches which bill in this process, and the one thread that looks for all of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from queue import Empty, SimpleQueue
from uuid import UUID

import structlog

from billing.errors import BillNotFound
from billing.ledger.standings import Standing

log = structlog.get_logger(__name__)

Read = Callable[[Collection[UUID]], Mapping[UUID, Standing]]

LOOK_EVERY_S = 0.25
# What the thread read serves others no longer than this.
FRESH_FOR_S = 2 * LOOK_EVERY_S


class TooManyStreams(Exception):
    """The process has no thread to spare for another stream, or this viewer has its share."""


class Watch:
    """One stream's ear: what it is told, in order. It ends once, whoever ends it."""

    def __init__(self, hub: Hub, bill_id: UUID, viewer: str) -> None:
        self.bill_id = bill_id
        self.viewer = viewer
        self.told: Standing | None = None
        self.ended = False
        self._hub = hub
        self._news: SimpleQueue[Standing | None] = SimpleQueue()

    def next(self, within_s: float) -> Standing | None:
        """How the bill stands now that something changed; None when nothing did in that time, or the watch ended."""
        try:
            return self._news.get(timeout=within_s)
        except Empty:
            return None

    def tell(self, standing: Standing) -> None:
        if self.told is None or (standing.changes, standing.rates) != (self.told.changes, self.told.rates):
            self.told = standing
            self._news.put(standing)

    def end(self) -> None:
        self.ended = True
        self._news.put(None)
        self._hub.forget(self)


class Hub:
    """`most`: how many streams the process may hold. Nothing runs while nobody watches."""

    def __init__(self, read: Read, *, most: int) -> None:
        self._read = read
        self._most = most
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._reader: threading.Thread | None = None
        self._seen: Mapping[UUID, Standing] = {}
        self._seen_at_s = 0.0
        self._is_stopping: Callable[[], bool] = lambda: False

    def watch(self, bill_id: UUID, *, viewer: str, per_viewer: int) -> Watch:
        """Raises TooManyStreams, at once. Whoever gets one must end it."""
        with self._lock:
            viewers = Counter(watch.viewer for watch in self._watches)
            if self._is_stopping() or viewers.total() >= self._most or viewers[viewer] >= per_viewer:
                raise TooManyStreams
            watch = Watch(self, bill_id, viewer)
            self._watches.add(watch)
            if self._reader is None:
                self._reader = threading.Thread(target=self._look, name="live", daemon=True)
                self._reader.start()
            return watch

    def forget(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def standing(self, bill_id: UUID, *, at_least: int = 0) -> Standing:
        """How a bill stands, asked of the database only when nobody here watches the bill, or when the caller has
        heard of more changes than the thread has. Raises BillNotFound."""
        seen, seen_at_s = self._seen.get(bill_id), self._seen_at_s
        if seen is not None and seen.changes >= at_least and time.monotonic() - seen_at_s < FRESH_FOR_S:
            return seen
        found = self._read([bill_id]).get(bill_id)
        if found is None:
            raise BillNotFound
        return found

    def stop_when(self, is_stopping: Callable[[], bool]) -> None:
        """How the server says that the process is about to end: streams end then, and none begins."""
        self._is_stopping = is_stopping

    def end_all(self) -> None:
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.end()

    def count(self) -> int:
        with self._lock:
            return len(self._watches)

    def _look(self) -> None:
        """Until nobody watches any more. A failure ends all streams, so that no page says it is live."""
        try:
            while watches := self._watches_or_end():
                began_s = time.monotonic()
                self._seen = self._read({watch.bill_id for watch in watches})
                self._seen_at_s = began_s
                for watch in watches:
                    self._tell(watch)
                time.sleep(LOOK_EVERY_S)
        except Exception as error:
            log.warning("live_reader_failed", error=type(error).__qualname__)
            with self._lock:
                self._reader = None
            self.end_all()

    def _watches_or_end(self) -> list[Watch]:
        if self._is_stopping():
            self.end_all()
        with self._lock:
            if not self._watches:
                self._reader = None
                self._seen = {}
            return list(self._watches)

    def _tell(self, watch: Watch) -> None:
        standing = self._seen.get(watch.bill_id)
        if standing is None:
            watch.end()
        else:
            watch.tell(standing)
