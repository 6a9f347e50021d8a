"""Billing periods: half open, [start, end)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.clock import parse_instant
from billing.errors import InvalidArgument

LONGEST = timedelta(days=366)
FURTHEST_PAST_START = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Period:
    """What a bill covers. Rules that need the present instant take it from the database's clock."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, start: object, end: object) -> Period:
        """From RFC 3339 text; refuses what can't be right whatever the time is."""
        for field, value in (("period_start", start), ("period_end", end)):
            if value is None or value == "":
                raise InvalidArgument(f"{field} is required", reason="required", field=field)
        return cls(parse_instant(start, "period_start"), parse_instant(end, "period_end")).checked()

    def checked(self) -> Period:
        if self.end <= self.start:
            raise InvalidArgument("period_end must be after period_start", field="period_end")
        if self.end - self.start > LONGEST:
            raise InvalidArgument("the period cannot be longer than 366 days", field="period_end")
        return self

    def may_begin(self, now: datetime) -> Period:
        """Refuses a period that nobody may open at `now`."""
        if now - self.start > FURTHEST_PAST_START:
            raise InvalidArgument("period_start cannot be more than 366 days in the past", field="period_start")
        return self.may_end(now)

    def may_end(self, now: datetime) -> Period:
        if self.end <= now:
            raise InvalidArgument("period_end must be in the future", field="period_end")
        return self

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.end
