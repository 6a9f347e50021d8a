"""Cursors: where the next page begins, signed, and good for the very listing they came from."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from billing.errors import InvalidArgument


def sign(position: int | str, *listing: str | None) -> str:
    """`listing` tells lists apart: its kind, what it is of, and each filter."""
    return str(_serializer().dumps([position, *listing]))


def read(cursor: str | None, *listing: str | None) -> Any:
    """The position, or None without a cursor. Raises InvalidArgument for one that isn't of this listing."""
    if cursor is None:
        return None
    try:
        position, *its_listing = _serializer().loads(cursor)
    except (BadSignature, ValueError, TypeError):
        raise _bad_cursor() from None
    # Signatures are base64, whose last character has bits that decode to nothing: only our own spelling counts.
    if its_listing != list(listing) or sign(position, *its_listing) != cursor:
        raise _bad_cursor()
    return position


def _serializer() -> URLSafeSerializer:
    return _serializer_with(current_app.secret_key or "")


@cache
def _serializer_with(secret: str | bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="cursor")


def _bad_cursor() -> InvalidArgument:
    return InvalidArgument("cursor is not one of this list", reason="invalid_cursor", field="cursor")
