"""The page of one bill, and its totals in another currency."""

from __future__ import annotations

from flask import request, url_for
from flask.typing import ResponseReturnValue

from webapp import queries
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.bill_page import bill_page, open_address
from webapp.pages.blueprint import pages
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.pages.shown import shown_totals
from webapp.system import system


@pages.get("/bills/<bill_id>")
@allow(Role.VIEWER)
def show_bill(bill_id: str) -> ResponseReturnValue:
    return bill_page(
        parse_bill_id(bill_id),
        currency=request.args.get("currency"),
        before=position(request.args, "before"),
        added=position(request.args, "added"),
        search=request.args.get("q", ""),
    )


@pages.get("/bills/<bill_id>/totals")
@allow(Role.VIEWER)
def show_totals(bill_id: str) -> ResponseReturnValue:
    """The totals in another currency, on the page that is open; without script, the page itself."""
    currency = request.args.get("currency")
    if not wants_fragment():
        return see_other(url_for("pages.show_bill", bill_id=bill_id, currency=currency))
    bill = queries.bill(system(), parse_bill_id(bill_id))
    response = render("bills/_totals.html", totals=shown_totals(system(), bill, currency))
    response.headers["HX-Replace-Url"] = open_address(bill.id, currency=currency)
    return response
