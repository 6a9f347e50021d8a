"""Exchange rates: those in use, how fetching them went, and those that await an admin's word."""

from __future__ import annotations

from flask import flash, url_for
from flask.typing import ResponseReturnValue

from billing.errors import RateSnapshotNotFound
from billing.identifiers import parse_id
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import render, see_other
from webapp.system import system

ATTEMPTS_SHOWN = 10


@pages.get("/rates")
@allow(Role.VIEWER)
def show_rates() -> ResponseReturnValue:
    return render(
        "rates/show.html",
        rates=queries.current_rates(system()),
        offered=system().supported_currencies,
        quarantined=queries.quarantined_rates(system()),
        attempts=queries.rate_attempts(system(), limit=ATTEMPTS_SHOWN),
        form=Form(),
    )


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
