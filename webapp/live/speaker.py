"""The live thread: looks how the watched bills stand, and tells every page that watches. It never waits for a browser.

If looking fails all streams end, so that no page says that it is live without cause.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from billing.ledger.standings import Standing
from webapp.live.bell import Bell
from webapp.live.outlets import Connection, Outlet
from webapp.live.views import Memo
from webapp.live.watches import Watch

if TYPE_CHECKING:
    from webapp.live.hub import Hub

log = structlog.get_logger(__name__)

# Heartbeats, lifetimes, whether the server stops.
TEND_EVERY_S = 0.25
HEARTBEAT_S = 5.0
# How soon a session that ended ends its streams; a link that was revoked, at once.
ADMIT_EVERY_S = 4.0
# Then the browser comes again by itself, perhaps to another process.
LONGEST_S = 600.0
# From a place among the streams to the answer's head.
ANSWERED_WITHIN_S = 30.0
# Of processor time, for all fragments of one look: what there is no time for, pages ask for.
RENDER_FOR_S = 0.25


class Speaker:
    """One thread's life: from the first that watches to the last."""

    def __init__(self, hub: Hub, bell: Bell) -> None:
        self._hub = hub
        self._bell = bell
        self._met: deque[tuple[Watch, Outlet]] = deque()
        self._selector = selectors.DefaultSelector()
        self._links: dict[UUID, int] = {}
        self._tended_s = self._admitted_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_it_rests(self) -> None:
        """By any other thread, once the hub is stopping."""
        self._bell.ring()
        self._thread.join()

    def meet(self, watch: Watch, outlet: Outlet) -> None:
        """From now on the watch is spoken to. By any thread."""
        self._met.append((watch, outlet))
        self._bell.ring()

    def _run(self) -> None:
        self._selector.register(self._bell, selectors.EVENT_READ)
        try:
            while not self._hub.may_rest(self):
                self._turn()
        except Exception as error:
            log.warning("live_reader_failed", error=type(error).__qualname__)
            for watch in self._hub.failed(self):
                self._dismiss(watch)
        finally:
            while self._met:
                self._met.popleft()[1].end()
            self._selector.close()

    def _turn(self) -> None:
        if self._hub.is_stopping():
            for watch in self._hub.watches():
                self._dismiss(watch)
            return
        self._attend(min(max(self._hub.pace.seconds_left(), 0), TEND_EVERY_S))
        self._welcome()
        if self._hub.pace.seconds_left() <= 0:
            self._look()
        if time.monotonic() - self._tended_s >= TEND_EVERY_S:
            self._tend()

    def _attend(self, for_s: float) -> None:
        """What connections have to say meanwhile."""
        for key, ready in self._selector.select(for_s):
            if key.data is None:
                self._bell.hush()
                self._hub.pace.hurry()
                continue
            watch, outlet = key.data
            if ready & selectors.EVENT_READ:
                outlet.listen()
            if ready & selectors.EVENT_WRITE:
                outlet.flush()
            self._settle(watch)

    def _welcome(self) -> None:
        while self._met:
            watch, outlet = self._met.popleft()
            audience = self._hub.audience_of(watch)
            if audience is None:
                outlet.end()
                continue
            watch.outlet = outlet
            if isinstance(outlet, Connection):
                self._selector.register(outlet.socket, selectors.EVENT_READ, (watch, outlet))
                outlet.flush()
            audience.greet(watch)
            self._settle(watch)

    def _look(self) -> None:
        pace = self._hub.pace
        pace.begin()
        standings, sent_bytes, began_s = self._hub.look(), 0, time.thread_time()
        read: Memo = {}
        if self._links_changed(standings):
            self._admit()
        for audience, watches in self._hub.audiences():
            standing = standings.get(audience.view.bill_id)
            if standing is None:  # it began to be watched after the look, or is gone
                continue
            has_time = time.thread_time() - began_s < RENDER_FOR_S
            said_bytes = audience.follow(standing, watches, read if has_time else None)
            sent_bytes += said_bytes
            if said_bytes or standing.is_closed:
                for watch in watches:
                    (self._dismiss if standing.is_closed else self._settle)(watch)
        pace.end(sent_bytes)

    def _links_changed(self, standings: Mapping[UUID, Standing]) -> bool:
        """Whoever has a link that was revoked is told nothing that came after."""
        known, self._links = self._links, {bill_id: standing.links for bill_id, standing in standings.items()}
        return any(known.get(bill_id, links) != links for bill_id, links in self._links.items())

    def _tend(self) -> None:
        now_s = self._tended_s = time.monotonic()
        if now_s - self._admitted_s >= ADMIT_EVERY_S:
            self._admit()
        for watch in self._hub.watches():
            self._keep(watch, now_s)

    def _admit(self) -> None:
        """One question for all of them."""
        self._admitted_s, watches = time.monotonic(), self._hub.watches()
        admitted = set(self._hub.admit({watch.viewer for watch in watches}))
        for watch in watches:
            if watch.viewer not in admitted:
                self._dismiss(watch)

    def _keep(self, watch: Watch, now_s: float) -> None:
        outlet, age_s = watch.outlet, now_s - watch.began_s
        is_lost = age_s > ANSWERED_WITHIN_S if outlet is None else isinstance(outlet, Connection) and outlet.is_stalled
        if is_lost or age_s >= LONGEST_S:
            self._dismiss(watch)
        elif outlet is not None and now_s - watch.said_s >= HEARTBEAT_S:
            audience = self._hub.audience_of(watch)
            if audience is not None:
                audience.greet(watch)
                self._settle(watch)

    def _settle(self, watch: Watch) -> None:
        """Waits for a connection that is full; lets go of one that is over."""
        outlet = watch.outlet
        if outlet is None:
            return
        if outlet.is_over:
            self._dismiss(watch)
        elif isinstance(outlet, Connection):
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if outlet.has_waiting else 0)
            if self._selector.get_key(outlet.socket).events != wanted:
                self._selector.modify(outlet.socket, wanted, (watch, outlet))

    def _dismiss(self, watch: Watch) -> None:
        self._hub.end(watch)
        outlet, watch.outlet = watch.outlet, None
        if isinstance(outlet, Connection):
            with suppress(KeyError):  # registering it is what failed
                self._selector.unregister(outlet.socket)
        if outlet is not None:
            outlet.end()
