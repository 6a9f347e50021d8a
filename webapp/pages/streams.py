"""The stream of a bill for staff's open pages."""

from __future__ import annotations

from flask import g, request
from flask.typing import ResponseReturnValue

from webapp.identity.access import allow, asked_by_itself
from webapp.identity.roles import Role
from webapp.live.bounds import PER_SESSION
from webapp.live.streams import stream
from webapp.live.watches import Session
from webapp.pages.blueprint import pages
from webapp.pages.followed import StaffView, followed_currency
from webapp.pages.ids import parse_bill_id
from webapp.system import system


@pages.get("/bills/<bill_id>/stream")
@allow(Role.VIEWER)
@asked_by_itself
def stream_changes(bill_id: str) -> ResponseReturnValue:
    """What changes on the bill as a page shows it in `currency`, for as long as the session lasts."""
    bill_uuid, role = parse_bill_id(bill_id), g.caller.role
    currency = followed_currency(system(), bill_uuid, request.args.get("currency"))
    view = StaffView(bill_uuid, currency, role.includes(Role.OPERATOR), system())
    viewer = Session(g.caller.session_id, role)
    return stream(system().live, view, viewer=viewer, per_viewer=PER_SESSION)
