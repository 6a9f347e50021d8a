"""Instants: how they are read and written. What time it is, only the database says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from billing.errors import InvalidArgument

_RFC3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]"
    r"(?P<time>(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:(?P<zulu>[Zz])|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9]))",
    re.ASCII,
)


def parse_instant(value: object, field: str) -> datetime:
    """An RFC 3339 instant with its offset, as UTC.

    Microseconds are kept; further digits, as Go's clients send them, are cut off.
    Leap seconds, 24:00 and instants outside the years 1 to 9999 of UTC are refused.
    """
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _not_an_instant(field)
    microseconds = int((match["fraction"] or "0").ljust(6, "0")[:6])
    try:
        local = datetime.fromisoformat(f"{match['date']}T{match['time']}").replace(microsecond=microseconds)
        return local.replace(tzinfo=_offset(match)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_an_instant(field) from None


def _offset(match: re.Match[str]) -> timezone:
    if match["zulu"]:
        return UTC
    distance = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return timezone(-distance if match["sign"] == "-" else distance)


def _not_an_instant(field: str) -> InvalidArgument:
    return InvalidArgument(f"{field} must be an RFC 3339 instant with an offset", field=field)


def rfc3339(instant: datetime) -> str:
    """UTC, `Z`, six decimals."""
    return instant.astimezone(UTC).isoformat("T", "microseconds")[: -len("+00:00")] + "Z"
