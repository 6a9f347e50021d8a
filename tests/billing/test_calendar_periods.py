"""Months, quarters and local times of a time zone; the period after one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.calendar_periods import (
    Preset,
    following,
    local_instant,
    offered_zones,
    preset_period,
    zone_named,
)
from billing.errors import InvalidArgument
from billing.period import LONGEST, Period

ZONES = st.sampled_from(offered_zones())
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_zone(start: str, end: str, zone: str) -> Period:
    return Period(*(local_instant(datetime.fromisoformat(t), zone_named(zone), "t").instant for t in (start, end)))


@pytest.mark.parametrize(
    ("preset", "zone", "start", "end"),
    [
        (Preset.THIS_MONTH, "UTC", "2026-11-01T00:00", "2026-12-01T00:00"),
        # It is the first of December there already.
        (Preset.THIS_MONTH, "Asia/Tbilisi", "2026-11-30T20:00", "2026-12-31T20:00"),
        (Preset.NEXT_MONTH, "America/New_York", "2026-12-01T05:00", "2027-01-01T05:00"),
        (Preset.THIS_QUARTER, "Europe/Berlin", "2026-09-30T22:00", "2026-12-31T23:00"),
    ],
)
def test_months_and_quarters_begin_at_midnight_where_the_zone_is(
    preset: Preset, zone: str, start: str, end: str
) -> None:
    period = preset_period(preset, utc("2026-11-30T21:00"), zone_named(zone))
    assert period == Period(utc(start), utc(end))


@given(st.sampled_from(Preset), INSTANTS, ZONES)
def test_a_preset_is_a_period_that_may_be_opened(preset: Preset, now: datetime, name: str) -> None:
    period = preset_period(preset, now, zone_named(name)).checked().may_begin(now)
    assert preset is Preset.NEXT_MONTH or period.contains(now)


def test_a_local_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="does not exist in Europe/Berlin") as refusal:
        local_instant(datetime(2026, 3, 29, 2, 30), zone_named("Europe/Berlin"), "period_start")  # noqa: DTZ001
    assert refusal.value.field == "period_start"


def test_of_a_local_time_that_comes_twice_the_first_is_meant() -> None:
    found = local_instant(datetime(2026, 10, 25, 2, 30), zone_named("Europe/Berlin"), "period_start")  # noqa: DTZ001
    assert (found.instant, found.comes_twice) == (utc("2026-10-25T00:30"), True)


@given(INSTANTS, ZONES)
def test_a_local_time_is_what_the_zones_clocks_show_then(instant: datetime, name: str) -> None:
    local = instant.astimezone(zone_named(name)).replace(tzinfo=None, fold=0)
    found = local_instant(local, zone_named(name), "period_start")
    assert found.instant == instant or (found.comes_twice and found.instant < instant)


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../../etc/passwd", "utc+1", "\0"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="zone must be a time zone"):
        zone_named(name)


@pytest.mark.parametrize("year", [1, 9999])
def test_times_at_the_ends_of_the_calendar_are_refused(year: int) -> None:
    edge = datetime(year, 1, 1) if year == 1 else datetime(year, 12, 31, 23)  # noqa: DTZ001
    zone = zone_named("Asia/Tokyo" if year == 1 else "America/Denver")
    with pytest.raises(InvalidArgument, match="must be a date and a time"):
        local_instant(edge, zone, "period_end")


@pytest.mark.parametrize(
    ("earlier", "zone", "later"),
    [
        # Months stay months, across a change of clocks and the turn of the year.
        (("2026-10-01T00:00", "2026-11-01T00:00"), "Europe/Berlin", ("2026-11-01T00:00", "2026-12-01T00:00")),
        (("2026-08-15T09:00", "2026-11-15T09:00"), "Europe/Berlin", ("2026-11-15T09:00", "2027-02-15T09:00")),
        # Days stay days: a week by the clocks, an hour longer in October.
        (("2026-10-21T00:00", "2026-10-25T00:00"), "Europe/Berlin", ("2026-11-22T00:00", "2026-11-26T00:00")),
        # The 31st isn't in every month.
        (("2026-10-31T00:00", "2026-12-31T00:00"), "UTC", ("2026-12-31T00:00", "2027-03-02T00:00")),
        # Anything else keeps its length.
        (("2026-11-22T20:00", "2026-11-22T21:30"), "UTC", ("2026-11-22T21:30", "2026-11-22T23:00")),
        # One of long ago: the next that isn't over.
        (("2025-02-01T00:00", "2025-03-01T00:00"), "UTC", ("2026-11-01T00:00", "2026-12-01T00:00")),
    ],
)
def test_the_period_after_one_has_its_shape(earlier: tuple[str, str], zone: str, later: tuple[str, str]) -> None:
    now = utc("2026-11-22T21:00")
    assert following(in_zone(*earlier, zone), zone_named(zone), now) == in_zone(*later, zone)


@pytest.mark.parametrize("length", [timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(milliseconds=7)])
def test_the_period_after_a_very_short_one_is_found_at_once(length: timedelta) -> None:
    start, now = utc("2020-02-29T13:37"), utc("2026-11-22T21:00")
    later = following(Period(start, start + length), zone_named("UTC"), now)
    assert later.start <= now < later.end
    assert (later.end - later.start, (later.start - start) % length) == (length, timedelta(0))


@pytest.mark.parametrize(
    ("earlier", "zone", "later"),
    [
        # Clocks change within the month, or not.
        (("2026-10-01T00:00", "2026-11-01T00:00"), "Europe/Berlin", ("2026-11-01T00:00", "2026-12-01T00:00")),
        (("2026-11-01T00:00", "2026-12-01T00:00"), "Europe/Berlin", ("2026-12-01T00:00", "2027-01-01T00:00")),
        (("2026-10-01T00:00", "2027-01-01T00:00"), "Europe/Berlin", ("2027-01-01T00:00", "2027-04-01T00:00")),
        # Clocks change only in the period that follows.
        (("2027-02-01T00:00", "2027-03-01T00:00"), "Europe/Berlin", ("2027-03-01T00:00", "2027-04-01T00:00")),
        (("2027-02-01T00:00", "2027-03-01T00:00"), "America/New_York", ("2027-03-01T00:00", "2027-04-01T00:00")),
        (("2027-02-01T00:00", "2027-03-01T00:00"), "UTC", ("2027-03-01T00:00", "2027-04-01T00:00")),
        (("2026-11-01T00:00", "2026-12-01T00:00"), "Asia/Tbilisi", ("2026-12-01T00:00", "2027-01-01T00:00")),
        (("2026-11-01T00:00", "2026-12-01T00:00"), "Asia/Kathmandu", ("2026-12-01T00:00", "2027-01-01T00:00")),
    ],
)
@pytest.mark.parametrize("reader", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland"])
def test_months_are_followed_by_months_wherever_the_reader_is(
    earlier: tuple[str, str], zone: str, later: tuple[str, str], reader: str
) -> None:
    now = utc("2026-11-22T21:00")
    assert following(in_zone(*earlier, zone), zone_named(reader), now) == in_zone(*later, zone)


@given(INSTANTS, st.timedeltas(timedelta(microseconds=1), LONGEST - timedelta(days=2)), ZONES, st.integers(0, 3_000))
def test_the_period_after_one_is_the_first_that_is_not_over(
    start: datetime, length: timedelta, name: str, days: int
) -> None:
    period = Period(start, start + length)
    now = period.end + timedelta(days=days)
    later = following(period, zone_named(name), now)
    assert later.start >= period.end
    assert later.start <= now < later.end
