"""Who sends slowly gives the thread back: the head of a request and its body come within a time, or not at all.

The server alone would wait for every byte for ever, in one of its threads.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import request
from werkzeug.exceptions import BadRequest

HEAD_WITHIN_S = 10.0
BODY_WITHIN_S = 30.0
# Of a file or a long text; of each piece of it that is read, so that silence ends sooner.
UPLOAD_WITHIN_S = 300.0
PIECE_WITHIN_S = 30.0
LOOKS_EVERY_S = 0.5


class TooSlow(BadRequest):
    """The body of the request; nothing of it counts."""

    description = "the body came too slowly"


class Deadlines:
    """By which something must have been read from connections. Whoever still waits for one that is late comes to its
    end; what has come can be read, and the answer sent."""

    def __init__(self) -> None:
        self._ends_at: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    def start(self, connection: socket.socket, ends_at: float) -> None:
        """`ends_at` in seconds of the monotonic clock."""
        with self._lock:
            self._ends_at[connection] = ends_at
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="slow-senders", daemon=True)
                self._watcher.start()

    def stop(self, connection: socket.socket) -> bool:
        """Whether it was in time."""
        with self._lock:
            return self._ends_at.pop(connection, None) is not None

    def _watch(self) -> None:
        while True:
            time.sleep(LOOKS_EVERY_S)
            # While the lock is held nobody has gone on to close the connection, or to read something else from it.
            with self._lock:
                now = time.monotonic()
                for connection in [late for late, ends_at in self._ends_at.items() if ends_at <= now]:
                    del self._ends_at[connection]
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)


DEADLINES = Deadlines()


class TimelyBody(io.RawIOBase):
    """A body that comes in time. Reading raises TooSlow once it is late, and from then on."""

    def __init__(self, gunicorns: Any, connection: socket.socket) -> None:
        self._gunicorns = gunicorns
        self._connection = connection
        self._began_at = time.monotonic()
        self._within_s = BODY_WITHIN_S
        self._is_late = False

    def allow(self, seconds: float) -> None:
        """From the beginning of the request on."""
        self._within_s = seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._read_in_time(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _read_in_time(self, size: int) -> bytes:
        if self._is_late:
            raise TooSlow
        DEADLINES.start(self._connection, min(self._began_at + self._within_s, time.monotonic() + PIECE_WITHIN_S))
        failure = None
        try:
            return self._gunicorns.read(size)
        except Exception as error:  # gunicorn's own for chunks that end too early
            failure = error
            raise
        finally:
            if not DEADLINES.stop(self._connection):
                self._is_late = True
                # Or gunicorn would take what comes of it later for the next request.
                self._gunicorns.failed = True
                raise TooSlow from failure


class InTime:
    """Every body comes in time, where the server has one connection for each request."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        # With TLS there is more to a connection, and HTTP/2 has many requests on it: both are a proxy's, not ours.
        if type(connection) is socket.socket:
            environ["wsgi.input"] = TimelyBody(environ["wsgi.input"], connection)
        return self._app(environ, start_response)


def allow(seconds: float) -> None:
    """As much time for the body of this request."""
    body = request.environ["wsgi.input"]
    if isinstance(body, TimelyBody):
        body.allow(seconds)
