"""Billing periods as calendars have them: whole months and quarters of a time zone, and the period that follows one.

Time zones are IANA's. A local time that clocks skip is refused; of one that comes twice, the first is meant, and the
answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from billing.errors import InvalidArgument
from billing.period import Period

MONTHS_OF_A_QUARTER = 3
# Every month has a day of these numbers.
LAST_DAY_OF_ALL_MONTHS = 28


class Preset(StrEnum):
    THIS_MONTH = "this_month"
    NEXT_MONTH = "next_month"
    THIS_QUARTER = "this_quarter"


@dataclass(frozen=True, slots=True)
class LocalInstant:
    """A local time as an instant. `comes_twice`: clocks were set back over it, and this is the first of the two."""

    instant: datetime
    comes_twice: bool


def zone_named(name: str) -> ZoneInfo:
    """Raises InvalidArgument for what is no IANA time zone."""
    if name not in _known_zones():
        raise InvalidArgument("zone must be a time zone such as Europe/Berlin", field="zone")
    return ZoneInfo(name)


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def offered_zones() -> tuple[str, ...]:
    """UTC and all that are named for a place, without the old names of countries."""
    regions = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    return ("UTC", *sorted(name for name in _known_zones() if name.startswith(regions)))


def preset_period(preset: Preset, now: datetime, zone: ZoneInfo) -> Period:
    """The month or quarter that it is at `now` in the zone, or the month after it, from midnight to midnight."""
    today = now.astimezone(zone).date()
    first, months = today.replace(day=1), 1
    if preset is Preset.NEXT_MONTH:
        first = _months_later(first, 1)
    if preset is Preset.THIS_QUARTER:
        first, months = first.replace(month=(first.month - 1) // 3 * 3 + 1), MONTHS_OF_A_QUARTER
    return Period(_midnight(first, zone), _midnight(_months_later(first, months), zone))


def local_instant(local: datetime, zone: ZoneInfo, field: str) -> LocalInstant:
    """The instant at which clocks of the zone show this time. Raises InvalidArgument for one that they skip."""
    try:
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        shown = first.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise InvalidArgument(f"{field} must be a date and a time, such as 2026-12-01 00:00", field=field) from None
    if shown != local:
        sentence = f"{field} does not exist in {zone.key}: clocks are put forward that day and skip it"
        raise InvalidArgument(sentence, field=field)
    return LocalInstant(first, comes_twice=first != second)


def following(period: Period, zone: ZoneInfo, now: datetime) -> Period:
    """The first period of the same shape after this one whose end lies ahead of `now`.

    Whole months stay whole months, of whatever zone they are; else months stay months and days stay days on the
    clocks of `zone`; anything else keeps its length.
    """
    length = period.end - period.start
    end_of = _calendar_ends(period, zone)
    if end_of is None:
        end = period.end + max(0, (now - period.end) // length) * length
        return Period(end, end + length)
    # A few short of the estimate, since months differ in length.
    n = max(0, (now - period.end) // length * 8 // 10 - 1)
    while end_of(n + 1) <= now:
        n += 1
    return Period(end_of(n), end_of(n + 1))


def _calendar_ends(period: Period, zone: ZoneInfo) -> Callable[[int], datetime] | None:
    """When the n-th period after this one ends, if clocks tell; the 0th is this one."""
    home = _home_of_months(period, zone)
    if home is not None:
        return lambda n: _month_ends(period, home, n)
    start, end = period.start.astimezone(zone), period.end.astimezone(zone)
    if start.time() != end.time() or start.date() == end.date():
        return None
    if start.day == end.day <= LAST_DAY_OF_ALL_MONTHS:
        return lambda n: _month_ends(period, zone, n)
    days = end.date() - start.date()
    return lambda n: _at(end.date() + n * days, end.time(), zone)


def _home_of_months(period: Period, zone: ZoneInfo) -> ZoneInfo | None:
    """Where the period is whole months from midnight: in `zone`, else in UTC, else by the clocks of most places."""
    for each in (zone, ZoneInfo("UTC")):
        if _is_whole_months(period, each):
            return each
    places = [each for each in _places() if _is_whole_months(period, each)]
    if not places:
        return None
    # Places that agree on this period differ later, when clocks change in some of them only.
    later = {each: tuple(_month_ends(period, each, n) for n in range(1, 13)) for each in places}
    ((commonest, _),) = Counter(later.values()).most_common(1)
    return next(each for each in places if later[each] == commonest)


def _is_whole_months(period: Period, zone: ZoneInfo) -> bool:
    return all(
        instant == _midnight(instant.astimezone(zone).date().replace(day=1), zone)
        for instant in (period.start, period.end)
    )


def _month_ends(period: Period, zone: ZoneInfo, n: int) -> datetime:
    start, end = period.start.astimezone(zone), period.end.astimezone(zone)
    months = (end.year - start.year) * 12 + end.month - start.month
    return _at(_months_later(end.date(), n * months), end.time(), zone)


@cache
def _places() -> tuple[ZoneInfo, ...]:
    return tuple(ZoneInfo(name) for name in offered_zones())


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return _at(day, time(), zone)


def _at(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Where clocks skip this time, the moment at which they do, or as long after it as the time is."""
    return datetime.combine(day, at, zone).astimezone(UTC)
