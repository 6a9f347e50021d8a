"""Files on their way in: read piece by piece into a temporary file, however long they are and however slowly they come.

A file isn't written to the database while it comes: whoever sent it slowly would hold a transaction open, and with it
everybody's place in the event log.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from flask import request
from werkzeug.exceptions import HTTPException

from billing.errors import MalformedRequest
from billing.ledger.imports import LONGEST_FILE, TooManyImports
from webapp import slow_senders
from webapp.api.errors import TooLarge
from webapp.exports.places import Places

# Of the threads of a process: a file holds one for as long as it comes, and a processor while it is read.
PLACES = Places(most=2, a_caller=1, refusal=TooManyImports)
IN_MEMORY = 1024 * 1024
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """Its content, from the beginning, and the SHA-256 of it."""

    content: BinaryIO
    digest: bytes


@contextmanager
def received(account: str) -> Iterator[ReceivedFile]:
    """The body of this request, all of it. Raises TooLarge by its Content-Length or as soon as it is longer,
    MalformedRequest for one that ends too early, TooSlow, TooManyImports."""
    if request.content_length is not None and request.content_length > LONGEST_FILE:
        raise TooLarge
    request.max_content_length = LONGEST_FILE + 1
    slow_senders.allow(slow_senders.UPLOAD_WITHIN_S)
    place = PLACES.take(account)
    try:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
            yield _kept(request.stream.read, cast("BinaryIO", kept), announced=request.content_length)
    finally:
        place.release()


@contextmanager
def uploaded(account: str, content: BinaryIO) -> Iterator[ReceivedFile]:
    """A file of a form, which the framework has put aside already."""
    place = PLACES.take(account)
    try:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
            yield _kept(content.read, cast("BinaryIO", kept))
    finally:
        place.release()


def _kept(read: Callable[[int], bytes], kept: BinaryIO, announced: int | None = None) -> ReceivedFile:
    digest, length = hashlib.sha256(), 0
    while piece := _piece(read):
        length += len(piece)
        if length > LONGEST_FILE:
            raise TooLarge
        digest.update(piece)
        kept.write(piece)
    # Servers take the end of a connection for that of the body.
    if announced is not None and length != announced:
        raise MalformedRequest("the file ended before its Content-Length")
    kept.seek(0)
    return ReceivedFile(kept, digest.digest())


def _piece(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(_PIECE)
    except HTTPException:
        raise
    except Exception as error:  # each server has its own for a body that is badly framed, or doesn't come
        raise MalformedRequest("the request body could not be read") from error
