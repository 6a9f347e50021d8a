"""Exchange rates: those in use, what they were, how fetching them went, and those that await an admin's word."""

from __future__ import annotations

from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from datetime import timedelta

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.errors import RateSnapshotNotFound
from billing.exchange.by_hand import TooSoon, refresh_now
from billing.identifiers import parse_id
from billing.ledger.rate_requests import wait_until_allowed
from billing.ledger.rates import Attempt
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import current_caller, origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import render, see_other
from webapp.pages.shown_rates import shown_rates
from webapp.system import system

ATTEMPTS_SHOWN = 10
# A provider may take longer; then the outcome stands among the attempts when it is there.
WAIT_FOR_PROVIDER_S = 4.0
_TONES = {"accepted": "good", "unchanged": "", "quarantined": "warn"}
_OUTCOMES = {
    "accepted": "New rates are in use from now on.",
    "unchanged": "The provider has nothing newer than what is in use.",
    "quarantined": "The rates that came have moved too far to be used unseen; they await a decision below.",
    "no_provider": "No provider is configured; the samples stay.",
}
_FAILED = "Nothing usable came; the last good rates stay. The reason stands among the latest attempts."


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    attempt: Attempt
    outcome: str
    tone: str


@pages.get("/rates")
@allow(Role.VIEWER)
def show_rates() -> ResponseReturnValue:
    rates, settings = system().rates.current.renewed(), system().config.settings
    return render(
        "rates/show.html",
        rates=rates,
        shown=shown_rates(system(), rates.snapshot, request.args) if rates.snapshot else None,
        quarantined=queries.quarantined_rates(system()),
        attempts=[_shown(attempt) for attempt in queries.rate_attempts(system(), limit=ATTEMPTS_SHOWN)],
        has_provider=not settings.sample_rates,
        refreshed_every=_in_words(settings.rates_refresh_every),
        stale_after=_in_words(settings.rates_stale_after),
        refresh_in=_refresh_in(),
        form=Form(),
    )


def _shown(attempt: Attempt) -> ShownAttempt:
    return ShownAttempt(attempt, attempt.outcome.replace("_", " ").capitalize(), _TONES.get(attempt.outcome, "bad"))


def _in_words(length: timedelta) -> str:
    """24 hours, 90 minutes, 45 seconds: one unit, the largest that fits."""
    for unit, name in ((timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if length >= unit and not length % unit:
            return f"{length // unit} {name}s" if length > unit else f"1 {name}"
    return f"{length // timedelta(seconds=1)} seconds"


def _refresh_in() -> str | None:
    """In how many seconds rates may be fetched by hand again; asked for those alone who may."""
    caller = current_caller()
    if caller is None or not caller.may(Role.ADMIN) or system().config.settings.sample_rates:
        return None
    wait = wait_until_allowed(system().engine)
    return _seconds(wait) if wait else None


@pages.post("/rates/refreshes")
@allow(Role.ADMIN)
def refresh_rates() -> ResponseReturnValue:
    form = Form.submitted()
    running = system().background.submit(refresh_now, system().engine, system().config.settings, origin(form.key))
    try:
        flash(_OUTCOMES.get(running.result(WAIT_FOR_PROVIDER_S), _FAILED))
    except TooSoon as refused:
        flash(f"Rates were fetched a moment ago. They can be fetched again in {_seconds(refused.wait)}.")
    except StillRunning:
        flash("The provider takes its time. The outcome will stand among the latest attempts.")
    return see_other(url_for("pages.show_rates"))


def _seconds(wait: timedelta) -> str:
    seconds = max(1, -(-wait // timedelta(seconds=1)))
    return f"{seconds} s" if seconds <= 120 else f"{-(-seconds // 60)} min"


@pages.post("/rates/<snapshot_id>/acceptance")
@allow(Role.ADMIN)
def accept_rates(snapshot_id: str) -> ResponseReturnValue:
    form = Form.submitted()
    try:
        commands.accept_rates(system(), origin(form.key), parse_id(snapshot_id, RateSnapshotNotFound))
        flash("Accepted. Open bills are converted by these rates from now on.")
    except RateSnapshotNotFound:
        flash("These rates await no decision any more; what is in use stands below.")
    return see_other(url_for("pages.show_rates"))
