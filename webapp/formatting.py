"""How figures and instants look to people: the same everywhere, whatever the locale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from billing import money
from billing.clock import rfc3339

MINUS = "\N{MINUS SIGN}"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def plain(amount: Decimal, code: str | None = None) -> str:
    """For programs: exact without trailing zeros, or with all minor units of the currency `code`."""
    return money.plain(amount) if code is None else money.plain_minor(amount, money.currency(code))


def figure(amount: Decimal, code: str | None = None) -> str:
    """For people: `plain` with thousands grouped (1,864.6), and a true minus sign."""
    return grouped(plain(amount, code), amount)


def grouped(text: str, amount: Decimal) -> str:
    """`text`, which is `plain` of the amount, as people read it."""
    whole, point, decimals = text.lstrip("-").partition(".")
    sign = MINUS if amount < 0 else ""
    return f"{sign}{int(whole):,}{point}{decimals}"


def instant(moment: datetime) -> str:
    """1 Dec 2026, 00:00 in UTC, which stands beside it; seconds and less only where there are any."""
    moment = moment.astimezone(UTC)
    return f"{_day(moment)} {moment.year}, {_time(moment)}{_seconds(moment)}"


def minute(moment: datetime) -> str:
    """As `instant`, cut to the minute: for when something happened. The exact instant is in the tooltip."""
    moment = moment.astimezone(UTC)
    return f"{_day(moment)} {moment.year}, {_time(moment)}"


def day_minute(moment: datetime) -> str:
    """22 Nov, 18:09: where the year is plain from what stands around it."""
    moment = moment.astimezone(UTC)
    return f"{_day(moment)}, {_time(moment)}"


def input_instant(moment: datetime) -> str:
    """As <input type=datetime-local> takes it: UTC, to the second."""
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.second else moment.strftime("%Y-%m-%dT%H:%M")


def duration(length: timedelta) -> str:
    """8 d 6 h, 3 h 12 min, 4 min, under a minute: the two largest parts."""
    seconds = int(length.total_seconds())
    if seconds >= DAY_S:
        return f"{seconds // DAY_S} d {seconds % DAY_S // HOUR_S} h"
    if seconds >= HOUR_S:
        return f"{seconds // HOUR_S} h {seconds % HOUR_S // MINUTE_S} min"
    return f"{seconds // MINUTE_S} min" if seconds >= MINUTE_S else "under a minute"


def _day(moment: datetime) -> str:
    """In English: strftime has the locale's months, and takes three times as long, which rows of long tables show."""
    return f"{moment.day} {MONTHS[moment.month - 1]}"


def _time(moment: datetime) -> str:
    return f"{moment.hour:02}:{moment.minute:02}"


def _seconds(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f":{moment:%S}{fraction}" if moment.second or fraction else ""


FILTERS = {
    "plain": plain,
    "figure": figure,
    "instant": instant,
    "minute": minute,
    "day_minute": day_minute,
    "input_instant": input_instant,
    "duration": duration,
    "rfc3339": rfc3339,
}
