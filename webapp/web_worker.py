"""gunicorn's worker with threads, which waits for the head of a request only so long."""

from __future__ import annotations

import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from webapp.slow_senders import DEADLINES, HEAD_WITHIN_S


class WebWorker(ThreadWorker):
    """Bodies are the application's."""

    def handle(self, conn: Any) -> Any:
        connection = conn.sock
        DEADLINES.start(connection, time.monotonic() + HEAD_WITHIN_S)
        try:
            return super().handle(conn)
        finally:
            DEADLINES.stop(connection)

    def handle_request(self, req: Any, conn: Any) -> Any:
        DEADLINES.stop(conn.sock)
        return super().handle_request(req, conn)
