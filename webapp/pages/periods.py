"""Moving the end of a bill's period."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import flash, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from billing.clock import parse_instant
from billing.errors import InvalidArgument, VersionConflict
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

CHANGED = "Somebody else moved the end meanwhile, and it stays there. Look again, and send yours if it still fits."


@pages.get("/bills/<bill_id>/period")
@allow(Role.OPERATOR)
def edit_period(bill_id: str) -> ResponseReturnValue:
    bill = queries.bill(system(), parse_bill_id(bill_id))
    if not bill.is_open:
        return see_other(url_for("pages.show_bill", bill_id=bill_id))
    return _period_form(bill.id, Form({"period_end": input_instant(bill.period.end)}))


@pages.post("/bills/<bill_id>/period")
@allow(Role.OPERATOR)
def change_period(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        end, shown_end = parse_end(form), _shown_end(form)
        written = commands.change_period(system(), origin(form.key), bill_uuid, end, expected_end=shown_end)
    except VersionConflict:
        return _period_form(bill_uuid, Form(form.values, {"": CHANGED}, status=409))
    except REFUSALS as refusal:
        return _period_form(bill_uuid, form.refused(refusal))
    flash(f"The bill now closes by itself on {instant(written.bill.period.end)} UTC.")
    return see_other(url_for("pages.show_bill", bill_id=bill_id))


def parse_end(form: Form) -> datetime:
    text = rfc3339_of(form["period_end"], "period_end")
    if not text:
        raise InvalidArgument("period_end is required", reason="required", field="period_end")
    return parse_instant(text, "period_end")


def _shown_end(form: Form) -> datetime:
    """Where the end was when the form was made. Raises BadRequest for what no form of ours holds."""
    try:
        return parse_instant(form["shown_end"], "shown_end")
    except InvalidArgument:
        raise BadRequest from None


def _period_form(bill_id: UUID, form: Form) -> ResponseReturnValue:
    bill = queries.bill(system(), bill_id)
    return page_or_dialog("periods/edit.html", status=form.status, bill=bill, form=form)
