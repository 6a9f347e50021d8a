from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.clock import parse_instant, rfc3339
from billing.errors import InvalidArgument

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 28), timezones=offsets  # noqa: DTZ001
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20t12:00:00z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00+04:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T23:30:00-05:30", datetime(2026, 11, 21, 5, tzinfo=UTC)),
        ("2026-11-20T12:00:00-00:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00.5Z", datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T12:00:00.123456789Z", datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_instants_are_read_as_utc(text, instant):
    assert parse_instant(text, "at") == instant
    assert parse_instant(text, "at").tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T12:00:00", "2026-11-20", "2026-11-20 12:00:00Z", "2026-11-20T12:00Z", "20261120T120000Z",
        "2026-11-20T24:00:00Z", "2026-11-20T23:59:60Z", "2026-11-20T12:60:00Z", "2026-11-20T25:00:00Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z",
        "2026-11-20T12:00:00+24:00", "2026-11-20T12:00:00+4:00", "2026-11-20T12:00:00+0400",
        "2026-11-20T12:00:00+04",
        "2026-11-20T12:00:00+04:60", "2026-11-20T12:00:00.Z", "2026-11-20T12:00:00.1234567890Z",
        "2026-11-20T12:00:00,5Z", "2026-W47-5T12:00:00Z", "2026-324T12:00:00Z",
        " 2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z\n", "\u0662026-11-20T12:00:00Z",
        "2026-11-2\uff10T12:00:00Z",
        "now", "", 1_700_000_000, None, True, [], datetime(2026, 11, 20, tzinfo=UTC),
    ],
)  # fmt: skip
def test_what_is_no_instant_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"^period_end must be an RFC 3339 instant with an offset$") as caught:
        parse_instant(value, "period_end")
    assert caught.value.field == "period_end"


@given(instants)
def test_instants_round_trip_whatever_their_offset(instant):
    assert parse_instant(rfc3339(instant), "at") == instant
    assert parse_instant(instant.isoformat(), "at") == instant


@given(instants)
def test_instants_are_written_in_utc_with_six_decimals(instant):
    text = rfc3339(instant)
    assert len(text) == len("2026-11-20T12:00:00.000000Z")
    assert text.endswith("Z")


@given(instants, instants)
def test_written_instants_sort_as_the_instants_do(one, other):
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


@given(st.text(max_size=40))
def test_text_is_refused_or_an_instant(text):
    try:
        parse_instant(text, "at")
    except InvalidArgument:
        return
    assert text.isascii()
