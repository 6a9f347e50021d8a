"""A bill's changes as Server-Sent Events. A stream says that something changed; what, the page asks for itself.

`change` carries how often the bill and its links have changed and comes first as soon as the stream stands, so that a
page misses nothing that happened since it was rendered. `alive` comes every few seconds: a browser tells no script of a
comment.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from random import randint
from uuid import UUID

from flask import Response, request

from billing.errors import Unavailable
from webapp.live.hub import TooManyStreams, Watch
from webapp.system import System

HEARTBEAT_S = 5.0
# How soon a browser that hung up is noticed; a session that ended, or a link that was revoked.
LOOK_FOR_BROWSER_S = 1.0
ASK_AGAIN_S = 8.0
# Then the browser comes again by itself, perhaps to another process.
LONGEST_S = 600.0
RETRY_AFTER_S = 20


def stream(
    system: System,
    bill_id: UUID,
    *,
    viewer: str,
    per_viewer: int,
    may_watch: Callable[[], bool] | None = None,
) -> Response:
    """The answer to a request for a bill's stream. Raises BillNotFound.

    `viewer` names whose streams count together, `per_viewer` how many they may be in this process. `may_watch` is
    asked again every few seconds, outside of the request; without it the stream ends then, and the browser asks.
    429 when there are too many, 204 for a closed bill, after which browsers don't ask again.
    """
    try:
        watch = system.live.watch(bill_id, viewer=viewer, per_viewer=per_viewer)
    except TooManyStreams:
        return Response(status=429, headers={"Retry-After": str(RETRY_AFTER_S)})
    try:
        standing = system.live.standing(bill_id)
    except BaseException:
        watch.end()
        raise
    if standing.is_closed:
        watch.end()
        return Response(status=204)
    connection = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    response = Response(_said(watch, may_watch, connection), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
    response.call_on_close(watch.end)
    return response


def _said(watch: Watch, may_watch: Callable[[], bool] | None, connection: socket.socket | None) -> Iterator[str]:
    # Not all at once after a restart.
    yield f"retry: {randint(500, 1500)}\n\n"  # noqa: S311 - spreads, hides nothing
    began_s = said_s = asked_s = time.monotonic()
    while not watch.ended and not _hung_up(connection):
        standing = watch.next(LOOK_FOR_BROWSER_S)
        now_s = time.monotonic()
        if standing is not None:
            yield f"event: change\ndata: {standing.changes}\n\n"
            said_s = now_s
        elif now_s - said_s >= HEARTBEAT_S:
            yield "event: alive\ndata:\n\n"
            said_s = now_s
        if now_s - asked_s >= ASK_AGAIN_S:
            if not _may_still(may_watch):
                return
            asked_s = now_s
        if now_s - began_s >= LONGEST_S or (standing is not None and standing.is_closed):
            return


def _may_still(may_watch: Callable[[], bool] | None) -> bool:
    try:
        return may_watch is not None and may_watch()
    except Unavailable:
        return False


def _hung_up(connection: socket.socket | None) -> bool:
    """Whether the browser has left: writing to it would tell only at the second heartbeat."""
    if connection is None or connection.fileno() < 0:
        return connection is not None
    waiting = select.poll()
    waiting.register(connection, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)
    return bool(waiting.poll(0))
