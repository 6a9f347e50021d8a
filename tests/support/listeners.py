"""Browsers' streams over bare sockets, by the hundred: what they were answered, and when they end."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import insert, text

from tests.support.stack import SECRET, Stack
from webapp.identity.tables import SessionRow
from webapp.identity.tokens import new_token, token_hash

ANSWERED_WITHIN_S = 15


class Listener:
    """One connection that asked for a stream."""

    def __init__(self, url: str, headers: str) -> None:
        address = urlsplit(url)
        self.connection = socket.create_connection((address.hostname, address.port), timeout=ANSWERED_WITHIN_S)
        request = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: text/event-stream\r\n{headers}\r\n"
        self.connection.sendall(request.encode())
        self.heard = b""

    def status(self) -> int:
        while b"\r\n\r\n" not in self.heard:
            self._hear()
        return int(self.heard.split(b" ", 2)[1])

    def wait_for(self, words: bytes) -> None:
        while words not in self.heard:
            self._hear()

    def seconds_until_the_end(self, within_s: float) -> float:
        """Until the stream's last chunk, or until the connection is closed."""
        began_s = time.monotonic()
        self.connection.settimeout(within_s)
        while not self.heard.endswith(b"0\r\n\r\n"):
            part = self.connection.recv(65_536)
            if not part:
                break
            self.heard += part
        return time.monotonic() - began_s

    def _hear(self) -> None:
        part = self.connection.recv(65_536)
        assert part, f"hung up after {self.heard!r}"
        self.heard += part


@contextmanager
def listening(asks: Iterable[tuple[str, str]]) -> Iterator[tuple[list[Listener], Counter[int]]]:
    """Opens a stream for each pair of address and headers: those that stand, and how many had which status."""
    listeners: list[Listener] = []
    try:
        listeners.extend(Listener(url, headers) for url, headers in asks)
        statuses = [listener.status() for listener in listeners]
        standing = [one for one, status in zip(listeners, statuses, strict=True) if status == 200]
        yield standing, Counter(statuses)
    finally:
        for listener in listeners:
            listener.connection.close()


def signed_in(stack: Stack, user_id: UUID) -> str:
    """The cookie of a new browser: signing in by the page, one after the other, would take them too long."""
    token = new_token()
    with stack.engine.begin() as connection:
        connection.execute(
            insert(SessionRow).values(
                token_hash=token_hash(token), user_id=user_id, expires_at=text("now() + interval '1 hour'")
            )
        )
    app = Flask(__name__)
    app.secret_key = SECRET
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return f"session={serializer.dumps({'token': token})}"
