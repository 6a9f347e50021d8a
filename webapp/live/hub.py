"""Who watches which bill in this process, within bounds; one thread looks and speaks for all of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

import structlog

from billing.errors import BillNotFound
from billing.ledger.standings import Standing
from webapp.live.audience import Audience
from webapp.live.bell import Neighbours
from webapp.live.outlets import Outlet
from webapp.live.pace import Pace
from webapp.live.speaker import Speaker
from webapp.live.views import View
from webapp.live.watches import Viewer, Watch

log = structlog.get_logger(__name__)

Read = Callable[[Collection[UUID]], Mapping[UUID, Standing]]
Admit = Callable[[Collection[Viewer]], Collection[Viewer]]

# What the thread read serves others no longer than this.
FRESH_FOR_S = 0.5


class TooManyStreams(Exception):
    """The process has no room for another stream, or this viewer has its share."""


class Hub:
    """`most`: how many streams the process may hold; `most_threads`: how many of them may hold a thread. `admit`: which
    of these viewers may still watch. Nothing runs while nobody watches."""

    def __init__(self, read: Read, admit: Admit, *, most: int, most_threads: int) -> None:
        self.read = read
        self.admit = admit
        self.pace = Pace()
        self.is_stopping: Callable[[], bool] = lambda: False
        self._most, self._most_threads = most, most_threads
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._viewers: Counter[Viewer] = Counter()
        self._threads = 0
        self._audiences: dict[View, Audience] = {}
        self._bills: Counter[UUID] = Counter()
        self._speaker: Speaker | None = None
        self._seen: Mapping[UUID, Standing] = {}
        self._seen_at_s = 0.0
        self._neighbours: Neighbours | None = None
        self._place = 0

    def live_beside(self, neighbours: Neighbours, place: int) -> None:
        """Before anybody watches: this process rings those beside it, and is rung by them."""
        self._neighbours, self._place = neighbours, place
        neighbours.hang_out(place, ())

    def watch(self, view: View, *, viewer: Viewer, per_viewer: int, holds_thread: bool) -> Watch:
        """Raises TooManyStreams, at once. Whoever gets one must end it, or give it an outlet."""
        with self._lock:
            no_thread = holds_thread and self._threads >= self._most_threads
            is_full = self._viewers[viewer] >= per_viewer or len(self._watches) >= self._most
            if self.is_stopping() or no_thread or is_full:
                raise TooManyStreams
            if self._speaker is None:
                speaker = Speaker(self, self._hang_out().bell(self._place))
                speaker.start()  # first: where no thread can be had, nobody waits for one
                self._speaker = speaker
            watch = Watch(view, viewer, holds_thread=holds_thread)
            self._watches.add(watch)
            self._viewers[viewer] += 1
            self._threads += holds_thread
            self._bills[view.bill_id] += 1
            self._hang_out()
            self._audiences.setdefault(view, Audience(view)).watches.add(watch)
            return watch

    def listen(self, watch: Watch, outlet: Outlet) -> None:
        """From now on the watch is spoken to."""
        with self._lock:
            if self._speaker is None or watch not in self._watches:
                outlet.end()
            else:
                self._speaker.meet(watch, outlet)

    def end(self, watch: Watch) -> None:
        """Its place is free again. Said again, it changes nothing."""
        with self._lock:
            self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        if watch not in self._watches:
            return
        self._watches.remove(watch)
        self._threads -= watch.holds_thread
        self._viewers -= Counter((watch.viewer,))
        self._bills -= Counter((watch.view.bill_id,))
        self._hang_out()
        audience = self._audiences[watch.view]
        audience.watches.remove(watch)
        if not audience.watches:
            del self._audiences[watch.view]

    def changed(self, bill_id: UUID) -> None:
        """Something about the bill was committed here. Costs next to nothing where nobody watches it."""
        if self._neighbours is not None:
            self._neighbours.ring(bill_id)

    def _hang_out(self) -> Neighbours:
        """Says which bills are watched here."""
        if self._neighbours is None:
            self._neighbours = Neighbours(1)
        self._neighbours.hang_out(self._place, self._bills)
        return self._neighbours

    def standing(self, bill_id: UUID, *, at_least: int = 0) -> Standing:
        """How a bill stands, asked of the database only when nobody here watches the bill, or when the caller has
        heard of more changes than the thread has. Raises BillNotFound."""
        seen, seen_at_s = self._seen.get(bill_id), self._seen_at_s
        if seen is not None and seen.changes >= at_least and time.monotonic() - seen_at_s < FRESH_FOR_S:
            return seen
        found = self.read([bill_id]).get(bill_id)
        if found is None:
            raise BillNotFound
        return found

    def look(self) -> Mapping[UUID, Standing]:
        """At all watched bills."""
        began_s = time.monotonic()
        with self._lock:
            watched = list(self._bills)
        self._seen = self.read(watched)
        self._seen_at_s = began_s
        return self._seen

    def stop_when(self, is_stopping: Callable[[], bool]) -> None:
        """How the server says that the process is about to end: streams end then, and none begins."""
        self.is_stopping = is_stopping

    def stops(self) -> bool:
        """Whether the process is about to end, as it is known now."""
        return self.is_stopping()

    def close(self) -> None:
        """Streams end, none begins, and nothing is read any more once this returns."""
        self.stop_when(lambda: True)
        with self._lock:
            speaker = self._speaker
        if speaker is not None:
            speaker.wait_until_it_rests()

    def count(self) -> int:
        with self._lock:
            return len(self._watches)

    def watches(self) -> list[Watch]:
        with self._lock:
            return list(self._watches)

    def audiences(self) -> list[tuple[Audience, list[Watch]]]:
        with self._lock:
            return [(audience, list(audience.watches)) for audience in self._audiences.values()]

    def audience_of(self, watch: Watch) -> Audience | None:
        with self._lock:
            return self._audiences.get(watch.view) if watch in self._watches else None

    def may_rest(self, speaker: Speaker) -> bool:
        """Whether nobody watches any more: then another thread begins with the next that does."""
        with self._lock:
            if not self._watches and self._speaker is speaker:
                self._speaker, self._seen = None, {}
            return self._speaker is not speaker

    def failed(self, speaker: Speaker) -> list[Watch]:
        """Who was left alone: the thread that comes next has nothing to do with them."""
        with self._lock:
            if self._speaker is not speaker:
                return []
            self._speaker, left = None, list(self._watches)
            for watch in left:
                self._forget(watch)
            return left
