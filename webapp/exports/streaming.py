"""Answers that are sent while they are read: however long, they take no memory, and a bounded time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain

from flask import Response, g, request

from webapp.exports.places import PLACES, Place

# Longer than a million rows take; a reader who is slower than that is cut off.
WITHIN_S = 600.0
# For each chunk: who reads nothing gives the thread back.
SENT_WITHIN_S = 30.0

Chunks = Generator[str, None, None]


class TookTooLong(Exception):
    """The answer was cut off: its connection is closed before its end."""


def streamed(make: Callable[[], Chunks], *, mimetype: str, file_name: str | None = None) -> Response:
    """What `make` gives, chunk by chunk. Raises TooManyExports, and what the first chunk raises."""
    place = PLACES.take(str(g.caller.account_id))
    try:
        chunks = make()
        # Before the answer begins: a database out of reach is an answer that says so.
        first = next(chunks, "")
    except BaseException:
        place.release()
        raise
    response = Response(_sent(first, chunks, place), mimetype=mimetype)
    # An answer that nobody begins to read ends here and nowhere else.
    response.call_on_close(_ends(chunks, place))
    if file_name:
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _sent(first: str, chunks: Chunks, place: Place) -> Iterator[str]:
    ends_at = time.monotonic() + WITHIN_S
    try:
        for chunk in chain([first], chunks):
            if time.monotonic() > ends_at:
                raise TookTooLong
            yield chunk
    finally:
        chunks.close()
        place.release()


def _ends(chunks: Chunks, place: Place) -> Callable[[], None]:
    """With what the server sends through in mind: it waits for a reader for ever, unless told otherwise."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(SENT_WITHIN_S)

    def end() -> None:
        chunks.close()
        place.release()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.settimeout(None)

    return end
