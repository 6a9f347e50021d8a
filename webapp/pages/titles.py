"""What a bill is called: the month or quarter that it covers, else its days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from billing.period import Period

# Clocks on earth are at most this far from UTC, in steps of a quarter of an hour.
_EARLIEST, _LATEST = timedelta(hours=-12), timedelta(hours=14)
_STEP = timedelta(minutes=15)
_SUMMER_TIME = timedelta(hours=1)


def period_title(period: Period) -> str:
    """`November 2026` and `Q4 2026` for what is one in the time zone of some place; else `1 Nov to 20 Nov 2026`."""
    return _whole_months(period) or _days(period)


def _whole_months(period: Period) -> str | None:
    first, after = _month_begun(period.start), _month_begun(period.end)
    if first is None or after is None:
        return None
    offsets = first - period.start, after - period.end
    if abs(offsets[0] - offsets[1]) > _SUMMER_TIME:
        return None
    months = (after.year - first.year) * 12 + after.month - first.month
    if months == 1:
        return f"{first:%B %Y}"
    if months == 3 and first.month % 3 == 1:
        return f"Q{first.month // 3 + 1} {first.year}"
    return None


def _month_begun(instant: datetime) -> datetime | None:
    """The first of the month, as a UTC midnight, that begins somewhere at this instant."""
    instant = instant.astimezone(UTC)
    # Whatever begins here began in UTC at most 14 hours later, and within the month of that moment.
    midnight = (instant + _LATEST).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    offset = midnight - instant
    return midnight if _EARLIEST <= offset <= _LATEST and not offset % _STEP else None


def _days(period: Period) -> str:
    start, end = period.start.astimezone(UTC), period.end.astimezone(UTC)
    if start.date() == end.date():
        return f"{end.day} {end:%b %Y}"
    year = "" if start.year == end.year else f" {start.year}"
    return f"{start.day} {start:%b}{year} to {end.day} {end:%b %Y}"
