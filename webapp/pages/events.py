"""What happened to a bill."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from billing.ledger.timeline import Place
from webapp import queries
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import position
from webapp.pages.rendering import render, wants_fragment
from webapp.pages.shown import shown_events
from webapp.system import system


@pages.get("/bills/<bill_id>/events")
@allow(Role.VIEWER)
def list_events(bill_id: str) -> ResponseReturnValue:
    """Those before a place: below those that the page shows, or as a page of their own."""
    bill = queries.bill(system(), parse_bill_id(bill_id))
    version = position(request.args, "before")
    before = Place(version, position(request.args, "links")) if version is not None else None
    events, older_events = shown_events(system(), bill, before=before)
    template = "events/_events.html" if wants_fragment() else "events/index.html"
    return render(template, bill=bill, events=events, older_events=older_events)
