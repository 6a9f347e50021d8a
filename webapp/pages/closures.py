"""Closing a bill by hand: a confirmation of what exactly is closed, then the wish."""

from __future__ import annotations

from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.errors import VersionConflict
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import seen_version
from webapp.pages.rendering import page_or_dialog, see_other
from webapp.pages.shown import shown_bill
from webapp.system import system

CHANGED = "The bill changed meanwhile. Nothing was closed; the figures below are the new ones."


@pages.get("/bills/<bill_id>/closure")
@allow(Role.OPERATOR)
def new_closure(bill_id: str) -> ResponseReturnValue:
    return _confirmation(parse_bill_id(bill_id), Form({"currency": request.args.get("shown_currency", "")}))


@pages.post("/bills/<bill_id>/closure")
@allow(Role.OPERATOR)
def close_bill(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        written = commands.close_bill(
            system(), origin(form.key), bill_uuid, expected_version=seen_version(form["version"])
        )
    except VersionConflict:
        return _confirmation(bill_uuid, Form(form.values, {"": CHANGED}, status=409))
    except REFUSALS as refusal:
        return _confirmation(bill_uuid, form.refused(refusal))
    flash(_outcome(written.bill))
    return see_other(url_for("pages.show_bill", bill_id=bill_id))


def _outcome(bill: Bill) -> str:
    if bill.is_closed:
        return f"Bill No. {bill.printed_number} is closed; its rates are frozen."
    return "The bill takes no more lines and is closing. It finishes by itself."


def _confirmation(bill_id: UUID, form: Form) -> ResponseReturnValue:
    """A bill that isn't open any more has nothing to confirm: its own page says how it stands."""
    bill = queries.bill(system(), bill_id)
    if not bill.is_open:
        return see_other(url_for("pages.show_bill", bill_id=bill_id))
    shown = shown_bill(system(), bill, form["currency"])
    return page_or_dialog("closures/new.html", status=form.status, shown=shown, form=form)
