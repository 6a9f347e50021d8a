"""A server on loopback that answers a POST byte for byte as a test wants, and knows who came.

with Receiver(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as receiver:
    receiver.url                       # plain http; with `tls=`, https
    receiver.accepted                  # connections, whatever came of them
    receiver.requests                  # those that came whole, as bytes
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Self

LOOPBACK = "127.0.0.1"
# Long enough for a busy machine; a test ends all connections itself.
PATIENCE_S = 60

Script = Callable[[socket.socket, Event], None]


def answering(answer: bytes) -> Script:
    def script(connected: socket.socket, _ending: Event) -> None:
        connected.sendall(answer)

    return script


def trickling(beginning: bytes, parts: Iterable[bytes], pause_s: float = 0.05) -> Script:
    """Each part comes well within any timeout of a single read."""

    def script(connected: socket.socket, ending: Event) -> None:
        connected.sendall(beginning)
        for part in parts:
            if ending.wait(pause_s):
                break
            connected.sendall(part)

    return script


def silent(beginning: bytes = b"") -> Script:
    """Says no more after that, and doesn't hang up."""

    def script(connected: socket.socket, ending: Event) -> None:
        connected.sendall(beginning)
        ending.wait(PATIENCE_S)

    return script


class Receiver:
    """`before_tls` is said in place of a handshake."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, before_tls: Script | None = None) -> None:
        self.accepted = 0
        self.requests: list[bytes] = []
        self._script = script
        self._tls = tls
        self._before_tls = before_tls
        self._ending = Event()
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{self.port}/hook"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        # Closing alone doesn't wake who waits for a connection.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[[], None]) -> None:
        thread = Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
            self._start(lambda connected=connected: self._serve(connected))  # type: ignore[misc]

    def _serve(self, connected: socket.socket) -> None:
        connected.settimeout(PATIENCE_S)
        # The other side hangs up when it likes.
        with suppress(OSError), connected:
            if self._before_tls:
                self._before_tls(connected, self._ending)
                return
            spoken = self._tls.wrap_socket(connected, server_side=True) if self._tls else connected
            with spoken:
                request = _request(spoken)
                with self._lock:
                    self.requests.append(request)
                self._script(spoken, self._ending)


def _request(connected: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += _more(connected)
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0]):
        body += _more(connected)
    return head + b"\r\n\r\n" + body


def _more(connected: socket.socket) -> bytes:
    part = connected.recv(65_536)
    if not part:
        raise ConnectionError
    return part
