"""Where the words of a stream go: into its browser's connection, or to a thread that waits for them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Protocol

# A browser that reads nothing is cut off when so much waits for it here, or for so long. The kernel holds as much.
MOST_WAITING_BYTES = 256 * 1024
STALLED_S = 10.0
KERNEL_BUFFER_BYTES = 128 * 1024
# A machine that vanished is noticed by what it doesn't acknowledge.
UNACKNOWLEDGED_MS = 15_000


class Outlet(Protocol):
    """Said and ended by the live thread alone. Neither ever waits."""

    def say(self, words: bytes) -> None: ...

    def end(self) -> None: ...

    @property
    def is_over(self) -> bool:
        """Nothing that is said any more arrives."""


class Connection:
    """A browser's connection that was taken over from the server: nobody else reads or writes it."""

    def __init__(self, taken: socket.socket, head: bytes) -> None:
        taken.setblocking(False)
        self.socket = taken
        self.is_over = False
        self._waiting: deque[memoryview] = deque([memoryview(head)])
        self._bytes_waiting = len(head)
        self._stuck_since_s: float | None = None

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def is_stalled(self) -> bool:
        return self._stuck_since_s is not None and time.monotonic() - self._stuck_since_s > STALLED_S

    def say(self, words: bytes) -> None:
        is_first = not self._waiting
        self._waiting.append(memoryview(words))
        self._bytes_waiting += len(words)
        if is_first:
            self.flush()
        elif self._bytes_waiting > MOST_WAITING_BYTES:
            self.is_over = True

    def flush(self) -> None:
        """As much as the connection takes now."""
        try:
            while self._waiting:
                sent = self.socket.send(self._waiting[0])
                self._bytes_waiting -= sent
                self._stuck_since_s = None
                if sent == len(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = self._waiting[0][sent:]
        except BlockingIOError:
            self._stuck_since_s = self._stuck_since_s or time.monotonic()
        except OSError:
            self.is_over = True

    def listen(self) -> None:
        """What came from the browser: that it has left, or words that nobody asked for."""
        try:
            self.is_over = self.is_over or not self.socket.recv(4_096)
        except BlockingIOError:
            return
        except OSError:
            self.is_over = True

    def end(self) -> None:
        """What doesn't go out at once is lost."""
        if not self.is_over:
            self.flush()
        self.is_over = True
        self.socket.close()


class Listening:
    """A thread of the server that passes on what it hears: for servers whose connections can't be taken over."""

    def __init__(self) -> None:
        self._said: SimpleQueue[bytes | None] = SimpleQueue()
        # In bytes, each counted by one thread alone.
        self._put = self._taken = 0
        self.is_over = False

    def say(self, words: bytes) -> None:
        self._put += len(words)
        self._said.put(words)
        if self._put - self._taken > MOST_WAITING_BYTES:
            self.is_over = True

    def end(self) -> None:
        self._said.put(None)

    def heard(self, within_s: float) -> bytes | None:
        """What was said next; nothing (b"") when that took too long; None when it was the last."""
        try:
            words = self._said.get(timeout=within_s)
        except Empty:
            return b""
        self._taken += len(words or b"")
        return words


def can_be_taken_over(environ: Mapping[str, Any]) -> bool:
    """A plain HTTP/1 connection of gunicorn's. TLS and HTTP/2 keep state that only the server has."""
    connection = environ.get("gunicorn.socket")
    return type(connection) is socket.socket and environ.get("HTTP_VERSION", "1").startswith("1")


def taken_over(environ: Mapping[str, Any]) -> socket.socket:
    """The connection under a descriptor of our own. What the server has in its stead is one whose other end has hung
    up: it finds that the browser left, as browsers do, and lets go of it. The thread that answers has it to itself."""
    servers: socket.socket = environ["gunicorn.socket"]
    ours = servers.dup()
    gone, other_end = socket.socketpair()
    other_end.close()
    with gone:
        os.dup2(gone.fileno(), servers.fileno(), inheritable=False)
    with contextlib.suppress(OSError):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    return ours


def head_of(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Of an answer that lasts as long as its connection."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
