"""A bill's changes as Server-Sent Events: what they are, webapp/live/views.py says.

A stream holds no thread where its connection can be taken over from the server, and one elsewhere.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Iterator
from random import randint
from typing import TYPE_CHECKING, Any

from flask import Response, request

from webapp.live.hub import Hub, TooManyStreams
from webapp.live.outlets import Connection, Listening, can_be_taken_over, head_of, taken_over
from webapp.live.views import View
from webapp.live.watches import Viewer, Watch

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# How soon a thread that holds a stream notices that its browser hung up.
LOOK_FOR_BROWSER_S = 1.0
RETRY_AFTER_S = 20


def stream(hub: Hub, view: View, *, viewer: Viewer, per_viewer: int) -> Response:
    """The answer to a request for a bill's stream. Raises BillNotFound.

    `viewer` is whose streams count together and who may watch for how long, `per_viewer` how many they may have in
    this process. 429 when there are too many, 204 for a closed bill, after which browsers don't ask again.
    """
    if hub.standing(view.bill_id).is_closed:
        return Response(status=204)
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream")
    by_thread = not can_be_taken_over(request.environ)
    try:
        watch = hub.watch(view, viewer=viewer, per_viewer=per_viewer, holds_thread=by_thread)
    except TooManyStreams:
        return Response(status=429, headers={"Retry-After": str(RETRY_AFTER_S)})
    # Not all at once after a restart.
    first = f"retry: {randint(500, 1500)}\n\n"  # noqa: S311 - spreads, hides nothing
    response = _held(hub, watch, first) if by_thread else _Handed(hub, watch, first)
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
    return response


class _Handed(Response):
    """Goes out, with all that every answer carries, over the connection that was taken from the server."""

    def __init__(self, hub: Hub, watch: Watch, first: str) -> None:
        super().__init__(mimetype="text/event-stream")
        self._hub, self._watch, self._first = hub, watch, first

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = [one for one in self.get_wsgi_headers(environ) if one[0] != "Content-Length"]
        head = head_of(self.status, headers) + self._first.encode()
        self._hub.listen(self._watch, Connection(taken_over(environ), head))
        # To a server that finds its browser gone.
        start_response(self.status, headers)
        return ()


def _held(hub: Hub, watch: Watch, first: str) -> Response:
    outlet = Listening()
    hub.listen(watch, outlet)
    connection = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    response = Response(_heard(outlet, connection, first), mimetype="text/event-stream")
    response.call_on_close(lambda: hub.end(watch))
    return response


def _heard(outlet: Listening, connection: Any, first: str) -> Iterator[bytes]:
    yield first.encode()
    while (words := outlet.heard(LOOK_FOR_BROWSER_S)) is not None:
        if _hung_up(connection):
            return
        if words:
            yield words


def _hung_up(connection: socket.socket | None) -> bool:
    """Whether the browser has left: writing to it would tell only at the second heartbeat."""
    if connection is None or connection.fileno() < 0:
        return connection is not None
    waiting = select.poll()
    waiting.register(connection, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)
    return bool(waiting.poll(0))
