from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.clock import rfc3339
from billing.errors import InvalidArgument
from billing.period import Period

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
instants = st.integers(-(10**8), 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds))


def period(start: datetime, end: datetime) -> Period:
    return Period.parse(rfc3339(start), rfc3339(end))


@pytest.mark.parametrize("missing", [None, ""])
def test_both_ends_are_required(missing):
    with pytest.raises(InvalidArgument, match=r"^period_start is required$") as caught:
        Period.parse(missing, missing)
    assert (caught.value.reason, caught.value.field) == ("required", "period_start")
    with pytest.raises(InvalidArgument, match=r"^period_end is required$") as caught:
        Period.parse("nonsense", missing)
    assert caught.value.field == "period_end"


def test_ends_are_instants():
    with pytest.raises(InvalidArgument, match=r"^period_start must be"):
        Period.parse("2026-11-20", rfc3339(NOW))
    with pytest.raises(InvalidArgument, match=r"^period_end must be"):
        Period.parse(rfc3339(NOW), 5)


@pytest.mark.parametrize("end", [NOW, NOW - TICK])
def test_the_end_comes_after_the_start(end):
    with pytest.raises(InvalidArgument, match=r"^period_end must be after period_start$"):
        period(NOW, end)


def test_one_instant_written_with_two_offsets_is_no_period():
    with pytest.raises(InvalidArgument, match=r"^period_end must be after period_start$"):
        Period.parse("2026-11-20T12:00:00Z", "2026-11-20T16:00:00+04:00")


def test_a_period_lasts_366_days_at_most():
    assert period(NOW, NOW + 366 * DAY)
    with pytest.raises(InvalidArgument, match=r"^the period cannot be longer than 366 days$"):
        period(NOW, NOW + 366 * DAY + TICK)


def test_a_period_begins_366_days_ago_at_most():
    end = NOW + TICK
    assert Period(NOW - 366 * DAY, end).may_begin(NOW)
    with pytest.raises(InvalidArgument, match="more than 366 days in the past") as caught:
        Period(NOW - 366 * DAY - TICK, end).may_begin(NOW)
    assert caught.value.field == "period_start"


def test_a_period_ends_in_the_future():
    assert Period(NOW - DAY, NOW + TICK).may_begin(NOW)
    for end in (NOW, NOW - TICK):
        with pytest.raises(InvalidArgument, match=r"^period_end must be in the future$"):
            Period(NOW - DAY, end).may_begin(NOW)
        with pytest.raises(InvalidArgument, match=r"^period_end must be in the future$"):
            Period(NOW - DAY, end).may_end(NOW)


def test_a_period_may_begin_in_the_future():
    assert Period(NOW + DAY, NOW + 2 * DAY).may_begin(NOW)


def test_a_period_is_half_open():
    month = Period(NOW, NOW + 30 * DAY)
    assert month.contains(NOW)
    assert month.contains(month.end - TICK)
    assert not month.contains(month.end)
    assert not month.contains(NOW - TICK)


@given(instants, instants)
def test_a_period_is_accepted_exactly_when_it_is_one(start, end):
    fits = timedelta(0) < end - start <= 366 * DAY
    try:
        accepted = period(start, end)
    except InvalidArgument:
        assert not fits
    else:
        assert fits
        assert (accepted.start, accepted.end) == (start, end)


@given(instants, st.integers(1, 366), instants)
def test_periods_that_follow_each_other_share_no_instant(start, days, instant):
    first = Period(start, start + days * DAY)
    following = Period(first.end, first.end + days * DAY)
    assert not (first.contains(instant) and following.contains(instant))
