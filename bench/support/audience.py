"""People with open pages: streams of Server-Sent Events over bare sockets, and one who adds while they watch.

One thread and one selector, so that nothing here waits for anything else here. Loopback only.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.support.load import LOOPBACK

LAST_WORDS_WITHIN_S = 5.0
ANSWERED_WITHIN_S = 30.0
_VERSION = re.compile(rb'"version":(\d+)')
_SEEN, _FROM = re.compile(rb'"seen":"([^"]*)"'), re.compile(rb'"from":"([^"]*)"')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Viewer:
    """An open page. `seen`: what it shows, if its stream says from what to what it leads; a page that is led from
    elsewhere would have to ask, and counts as one that asked."""

    def __init__(self, port: int, request: bytes, seen: str = "") -> None:
        self.heard: list[tuple[int, float]] = []
        self.asked = 0
        self.longest = 0
        self._seen = seen.encode()
        self._left = b""
        self.socket = socket.create_connection((LOOPBACK, port), timeout=ANSWERED_WITHIN_S)
        self.socket.sendall(request)

    def wait_until_answered(self) -> None:
        while b"\r\n\r\n" not in self._left:
            self._left += self._some()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"a stream was answered {head[:300]!r}")

    def listen(self) -> None:
        self._left += self._some()
        now = time.time()
        *events, self._left = self._left.split(b"\n\n")
        for event in events:
            self._hear(event, now)

    def _some(self) -> bytes:
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("a stream ended")
        return data

    def _hear(self, event: bytes, now: float) -> None:
        start = event[:1_000]
        version = _VERSION.search(start)
        if version is None:
            return
        self.longest = max(self.longest, len(event))
        led_from, seen = _FROM.search(start), _SEEN.search(start)
        shows = seen[1] if seen else b""
        if shows != self._seen:
            self.asked += led_from is None or led_from[1] != self._seen or b'"html":' not in event
            self._seen = shows
        self.heard.append((int(version[1]), now))


@dataclass
class Adding:
    """What came of it. `answer_ms` of every add; `refused` those that weren't answered 2xx."""

    answer_ms: list[float] = field(default_factory=list)
    refused: int = 0


class Adder:
    """One client that sends a request at fixed moments, whether or not the last one was answered meanwhile."""

    def __init__(self, port: int, ask: Callable[[], bytes]) -> None:
        self._ask = ask
        self._left, self._asked_at = b"", 0.0
        self.is_waiting = False
        self.added = Adding()
        self.socket = socket.create_connection((LOOPBACK, port), timeout=ANSWERED_WITHIN_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def add(self) -> None:
        request = self._ask()
        self.is_waiting, self._asked_at = True, time.perf_counter()
        self.socket.sendall(request)

    def listen(self) -> None:
        """What has come, if anything has."""
        try:
            data = self.socket.recv(262_144, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("the adder's connection was closed")
        self._left += data
        end = self._left.find(b"\r\n\r\n")
        length = _LENGTH.search(self._left[:end]) if end >= 0 else None
        if length is None or len(self._left) < end + 4 + int(length[1]):
            return
        self.added.answer_ms.append((time.perf_counter() - self._asked_at) * 1000)
        self.added.refused += not self._left[9:12].startswith(b"2")
        self._left, self.is_waiting = b"", False


def watched(adder: Adder, viewers: Sequence[Viewer], *, per_second: float, seconds: float) -> Adding:
    """Adds at this rate while all viewers listen, and some seconds more."""
    with selectors.DefaultSelector() as selector:
        for one in (adder, *viewers):
            selector.register(one.socket, selectors.EVENT_READ, one)
        began, count = time.perf_counter(), 0
        while count < per_second * seconds or adder.is_waiting:
            due_s = began + count / per_second - time.perf_counter()
            if due_s <= 0 and not adder.is_waiting and count < per_second * seconds:
                adder.add()
                count += 1
                continue
            _hear(selector, max(due_s, 0.001), adder)
        ended = time.perf_counter()
        while time.perf_counter() - ended < LAST_WORDS_WITHIN_S and not _all_heard(viewers):
            _hear(selector, 0.1, adder)
    return adder.added


def _hear(selector: selectors.BaseSelector, within_s: float, adder: Adder) -> None:
    """The adder's answer doesn't wait for what two hundred viewers have to read."""
    for key, _ in selector.select(within_s):
        if key.data is not adder:
            key.data.listen()
        if adder.is_waiting:
            adder.listen()


def _all_heard(viewers: Sequence[Viewer]) -> bool:
    """Whether everybody has heard as much as who heard most, for a while nothing new having come."""
    newest = max((viewer.heard[-1] for viewer in viewers if viewer.heard), default=(0, 0.0))
    quiet_s = time.time() - newest[1]
    return quiet_s > 1.0 and all(viewer.heard and viewer.heard[-1][0] == newest[0] for viewer in viewers)


def delays_ms(viewers: Sequence[Viewer], committed: Sequence[tuple[int, float]]) -> tuple[list[float], int]:
    """Of each item, given as its version and when it was stored (seconds of the epoch): how long until the last viewer
    had it. And how many items some viewer never had."""
    delays, lost = [], 0
    for version, at in committed:
        firsts = [next((when for heard, when in viewer.heard if heard >= version), None) for viewer in viewers]
        if None in firsts:
            lost += 1
        else:
            delays.append((max(first for first in firsts if first is not None) - at) * 1000)
    return delays, lost
