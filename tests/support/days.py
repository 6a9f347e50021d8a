"""Tests that look at the calendar twice: which day, month or year it is must not change in between."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

LEFT_AT_LEAST_S = 30


def wait_for_the_next_day_if_this_one_ends_soon() -> None:
    """Days of UTC."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left_s = (midnight - now).total_seconds()
    if left_s < LEFT_AT_LEAST_S:
        time.sleep(left_s + 0.1)
