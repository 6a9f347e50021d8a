"""Adding lines to a bill, and the older ones of a long bill."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import LineItemDraft
from webapp import commands, queries
from webapp.drafts import parse_draft
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.bill_page import bill_page, blank_line_item, open_address
from webapp.pages.blueprint import pages
from webapp.pages.changes import PageState, changes_since
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.pages.shown import ITEMS_SHOWN, shown_items, shown_search
from webapp.system import system


@pages.post("/bills/<bill_id>/line-items")
@allow(Role.OPERATOR)
def add_line_item(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        added = commands.add_line_item(system(), origin(form.key), bill_uuid, _draft(form))
    except REFUSALS as refusal:
        return _refused(bill_id, form.refused(refusal))
    if not wants_fragment():
        return see_other(url_for("pages.show_bill", bill_id=bill_id, added=added.item.position))
    return _row_and_changes(bill_uuid, blank_line_item(added.item.currency))


def _draft(form: Form) -> LineItemDraft:
    values = {
        "description": form["description"].strip(),
        "quantity": form.number("quantity"),
        "unit_price": form.number("unit_price"),
        "currency": form["currency"],
    }
    return parse_draft(values, offered=system().configured_currencies)


def _refused(bill_id: str, form: Form) -> ResponseReturnValue:
    if not wants_fragment():
        return bill_page(parse_bill_id(bill_id), form=form)
    return _row_and_changes(parse_bill_id(bill_id), form)


def _row_and_changes(bill_id: UUID, form: Form) -> ResponseReturnValue:
    """The row for the next line, and everything by which the open page lags behind the bill."""
    return render(
        "line_items/added.html",
        status=form.status,
        form=form,
        focus=True,
        offered=system().supported_currencies,
        **changes_since(system(), bill_id, PageState.of_request()),
    )


@pages.get("/bills/<bill_id>/line-items")
@allow(Role.VIEWER)
def list_line_items(bill_id: str) -> ResponseReturnValue:
    """The items before a position, or those with some words, below those that the page shows.

    Without script, a page of them.
    """
    before, search = position(request.args, "before"), request.args.get("q")
    if not wants_fragment():
        return see_other(url_for("pages.show_bill", bill_id=bill_id, before=before, q=search))
    if search is not None:
        return _found(bill_id, search, before)
    bill, items = queries.bill_with_items(system(), parse_bill_id(bill_id), limit=ITEMS_SHOWN, before=before)
    oldest = items[0].position if items else 0
    return render("line_items/older.html", bill=bill, items=shown_items(system(), items), oldest=oldest)


def _found(bill_id: str, text: str, before: int | None) -> ResponseReturnValue:
    """A new search, which the address of the page follows, or more of the one that is shown."""
    bill = queries.bill(system(), parse_bill_id(bill_id))
    search = shown_search(system(), bill.id, text, before=before)
    response = render(f"line_items/{'found_older' if before else 'found'}.html", bill=bill, search=search)
    if not before:
        response.headers["HX-Replace-Url"] = open_address(bill.id, q=search.text)
    return response
