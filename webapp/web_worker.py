"""gunicorn's worker with threads, whose connections hold nobody up: heads come in time, and the last look at what a
client still sends is the thread's that answered it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from webapp.slow_senders import DEADLINES, HEAD_WITHIN_S


class WebWorker(ThreadWorker):
    """Bodies are the application's. TLS is a proxy's."""

    def handle(self, conn: Any) -> Any:
        if self.cfg.is_ssl:
            return super().handle(conn)
        connection = conn.sock
        DEADLINES.start(connection, time.monotonic() + HEAD_WITHIN_S)
        try:
            goes_on = super().handle(conn)
        finally:
            DEADLINES.stop(connection)
        if goes_on is False:
            _see_off(connection)
        return goes_on

    def handle_request(self, req: Any, conn: Any) -> Any:
        in_time = DEADLINES.stop(conn.sock) or self.cfg.is_ssl
        return super().handle_request(req, conn) if in_time else False


def _see_off(connection: socket.socket) -> None:
    """gunicorn waits up to two seconds for the client to hang up, so that it gets all of its answer. It would do so
    where it accepts connections, and hear nobody else meanwhile."""
    with suppress(OSError):
        util.close_graceful(connection.dup())
        connection.shutdown(socket.SHUT_RD)
