"""What a browser's fields and addresses give: dates and times in UTC, as the labels beside them say; positions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from werkzeug.exceptions import BadRequest

from billing.clock import parse_instant
from billing.errors import InvalidArgument

HIGHEST_POSITION = 2**63 - 1
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?P<seconds>:\d\d(?:\.\d{1,6})?)?", re.ASCII)


def rfc3339_of(text: str, field: str) -> str:
    """A datetime-local value as an RFC 3339 instant in UTC; one with its own offset stays as it is.

    Raises InvalidArgument in the words of the page.
    """
    text = text.strip()
    local = _LOCAL.fullmatch(text)
    if local:
        text = text.replace(" ", "T") + ("Z" if local["seconds"] else ":00Z")
    if text:
        try:
            parse_instant(text, field)
        except InvalidArgument:
            raise InvalidArgument(f"{field} must be a date and a time, such as 2026-12-01 00:00", field=field) from None
    return text


def local_time_of(text: str) -> datetime | None:
    """A datetime-local value, of whatever time zone; None for anything else."""
    try:
        return datetime.fromisoformat(text) if _LOCAL.fullmatch(text) else None
    except ValueError:
        return None


def day_start(text: str, field: str) -> datetime | None:
    """The first instant of a day in UTC; None for an empty field."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidArgument("Not a date; write 2026-12-01", field=field) from None


def day_after(text: str, field: str) -> datetime | None:
    """The first instant after a day in UTC; None for an empty field."""
    start = day_start(text, field)
    try:
        return start + timedelta(days=1) if start else None
    except OverflowError:
        raise InvalidArgument("Not a date; write 2026-12-01", field=field) from None


def position(values: Mapping[str, str], name: str) -> int | None:
    """A place in a list, or a version; None for one that isn't there, or that no page of ours has named.

    Whoever follows a mangled link sees the newest, as without it.
    """
    text = values.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    place = int(text)
    return place if place <= HIGHEST_POSITION else None


def seen_version(text: str) -> int:
    """The version of a bill that a form was made for. Raises BadRequest for what no form of ours holds."""
    try:
        return int(text)
    except ValueError:
        raise BadRequest from None
