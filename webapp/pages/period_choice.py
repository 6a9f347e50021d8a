"""A billing period as a form asks for it: a preset or two local times, in a time zone; the exact instants it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Response, current_app, request

from billing.calendar_periods import Preset, local_instant, offered_zones, preset_period, zone_named
from billing.clock import parse_instant
from billing.errors import InvalidArgument
from billing.period import Period
from webapp.formatting import duration, instant
from webapp.pages.inputs import local_time_of

CUSTOM = "custom"
PRESETS = {
    Preset.THIS_MONTH: "This month",
    Preset.NEXT_MONTH: "Next month",
    Preset.THIS_QUARTER: "This quarter",
    CUSTOM: "Custom",
}
UTC_ZONE = "UTC"
REMEMBERED_FOR_S = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    """`notes` say how a local time that comes twice was understood."""

    period: Period
    zone: ZoneInfo
    notes: tuple[str, ...] = ()

    @property
    def length(self) -> str:
        length = self.period.end - self.period.start
        if length % timedelta(days=1):
            return duration(length)
        return f"{length.days} {'day' if length.days == 1 else 'days'}"


def chosen_period(values: Mapping[str, str], now: datetime) -> PeriodChoice:
    """Raises InvalidArgument naming the field that can't be right, whatever the time is."""
    zone = zone_named(values.get("zone") or UTC_ZONE)
    preset = values.get("preset", CUSTOM)
    if preset != CUSTOM:
        return PeriodChoice(preset_period(_preset(preset), now, zone), zone)
    start, start_note = _instant(values.get("period_start", ""), zone, "period_start")
    end, end_note = _instant(values.get("period_end", ""), zone, "period_end")
    return PeriodChoice(Period(start, end).checked(), zone, tuple(note for note in (start_note, end_note) if note))


def _preset(name: str) -> Preset:
    try:
        return Preset(name)
    except ValueError:
        raise InvalidArgument("No such period", field="preset") from None


def _instant(text: str, zone: ZoneInfo, field: str) -> tuple[datetime, str | None]:
    """The instant of a local time, with a note if that comes twice; one with its own offset stays as it is."""
    text = text.strip()
    if not text:
        raise InvalidArgument(f"{field} is required", reason="required", field=field)
    local = local_time_of(text)
    if local is None:
        return _with_offset(text, field), None
    found = local_instant(local, zone, field)
    if not found.comes_twice:
        return found.instant, None
    note = f"{local:%H:%M} comes twice that day in {zone.key}: the first is meant, {instant(found.instant)} UTC."
    return found.instant, f"{note} For the second, choose UTC as the time zone."


def _with_offset(text: str, field: str) -> datetime:
    try:
        return parse_instant(text, field)
    except InvalidArgument:
        raise InvalidArgument(f"{field} must be a date and a time, such as 2026-12-01 00:00", field=field) from None


def remembered_zone() -> str | None:
    """The time zone that this browser's last bill was opened in."""
    name = request.cookies.get(_cookie_name(), "")
    return name if name in offered_zones() else None


def remember_zone(response: Response, name: str) -> Response:
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(
        _cookie_name(), name, max_age=REMEMBERED_FOR_S, path="/", secure=secure, httponly=True, samesite="Lax"
    )
    return response


def _cookie_name() -> str:
    return "__Host-zone" if current_app.config["SESSION_COOKIE_SECURE"] else "zone"
