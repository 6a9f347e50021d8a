"""What a bill is called."""

from datetime import datetime

import pytest

from billing.period import Period
from webapp.pages.titles import period_title


@pytest.mark.parametrize(
    ("start", "end", "title"),
    [
        ("2026-11-01T00:00Z", "2026-12-01T00:00Z", "November 2026"),
        ("2026-12-01T00:00Z", "2027-01-01T00:00Z", "December 2026"),
        ("2026-11-01T00:00+04:00", "2026-12-01T00:00+04:00", "November 2026"),
        ("2026-11-01T00:00-05:00", "2026-12-01T00:00-05:00", "November 2026"),
        ("2026-11-01T00:00+14:00", "2026-12-01T00:00+14:00", "November 2026"),
        ("2026-11-01T00:00-12:00", "2026-12-01T00:00-12:00", "November 2026"),
        ("2026-11-01T00:00+05:45", "2026-12-01T00:00+05:45", "November 2026"),
        ("2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00", "March 2026"),
        ("2026-10-01T00:00Z", "2027-01-01T00:00Z", "Q4 2026"),
        ("2026-01-01T00:00+01:00", "2026-04-01T00:00+02:00", "Q1 2026"),
        ("2026-11-01T00:00Z", "2027-02-01T00:00Z", "1 Nov 2026 to 1 Feb 2027"),
        ("2026-11-01T00:00Z", "2026-12-01T03:00Z", "1 Nov to 1 Dec 2026"),
        ("2026-11-01T00:01Z", "2026-12-01T00:01Z", "1 Nov to 1 Dec 2026"),
        ("2026-11-01T00:00Z", "2026-11-16T00:00Z", "1 Nov to 16 Nov 2026"),
        ("2026-11-22T08:00Z", "2026-11-22T09:00Z", "22 Nov 2026"),
    ],
)
def test_a_period_is_called_by_its_month_or_quarter_or_else_by_its_days(start, end, title):
    assert period_title(Period(datetime.fromisoformat(start), datetime.fromisoformat(end))) == title
