"""Advancing the clock of a test bill."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import flash, url_for
from flask.typing import ResponseReturnValue

from billing.clock import parse_instant
from billing.errors import InvalidArgument
from webapp import commands, queries
from webapp.formatting import input_instant, instant
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.ids import parse_bill_id
from webapp.pages.inputs import rfc3339_of
from webapp.pages.rendering import page_or_dialog, see_other
from webapp.system import system


@pages.get("/bills/<bill_id>/clock")
@allow(Role.OPERATOR)
def edit_clock(bill_id: str) -> ResponseReturnValue:
    """Its end is what most come for."""
    bill = queries.bill(system(), parse_bill_id(bill_id))
    if not bill.is_open or not bill.test:
        return see_other(url_for("pages.show_bill", bill_id=bill_id))
    return _clock_form(bill.id, Form({"now": input_instant(bill.period.end + _TO_THE_SECOND)}))


@pages.post("/bills/<bill_id>/clock")
@allow(Role.OPERATOR)
def advance_clock(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        text = rfc3339_of(form["now"], "now")
        if not text:
            raise InvalidArgument("now is required", reason="required", field="now")
        to = parse_instant(text, "now")
        bill = commands.advance_clock(system(), origin(form.key), bill_uuid, to).bill
    except REFUSALS as refusal:
        return _clock_form(bill_uuid, form.refused(refusal))
    flash(f"It is {instant(to)} UTC for this bill{', which is closed' if bill.is_closed else ''}.")
    return see_other(url_for("pages.show_bill", bill_id=bill_id))


# Browsers have whole seconds, and the end has to be reached.
_TO_THE_SECOND = timedelta(microseconds=999_999)


def _clock_form(bill_id: UUID, form: Form) -> ResponseReturnValue:
    bill = queries.bill(system(), bill_id)
    now = bill.by_its_clock(queries.current_rates(system()).as_of)
    return page_or_dialog("clocks/edit.html", status=form.status, bill=bill, now=now, form=form)
