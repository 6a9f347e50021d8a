"""Taking a line back, with a reason."""

from __future__ import annotations

from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue

from billing.bill import LONGEST_REASON
from billing.text import parse_text
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.changes import PageState, changes
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.ids import parse_bill_id, parse_item_id
from webapp.pages.rendering import page_or_dialog, render, see_other, wants_fragment
from webapp.system import system


@pages.get("/bills/<bill_id>/line-items/<item_id>/reversal")
@allow(Role.OPERATOR)
def new_reversal(bill_id: str, item_id: str) -> ResponseReturnValue:
    bill_uuid, item_uuid = parse_bill_id(bill_id), parse_item_id(item_id)
    if not queries.bill(system(), bill_uuid).is_open:
        return see_other(url_for("pages.show_bill", bill_id=bill_id))
    return _reversal_form(bill_uuid, item_uuid, Form())


@pages.post("/bills/<bill_id>/line-items/<item_id>/reversal")
@allow(Role.OPERATOR)
def reverse_line_item(bill_id: str, item_id: str) -> ResponseReturnValue:
    bill_uuid, item_uuid, form = parse_bill_id(bill_id), parse_item_id(item_id), Form.submitted()
    try:
        reason = parse_text(form["reason"].strip(), "reason", longest=LONGEST_REASON)
        bill, reversing, _ = commands.reverse_line_item(system(), origin(form.key), bill_uuid, item_uuid, reason)
    except REFUSALS as refusal:
        return _reversal_form(bill_uuid, item_uuid, form.refused(refusal))
    if not wants_fragment():
        return see_other(url_for("pages.show_bill", bill_id=bill.id, added=reversing.position))
    return render("bills/changes.html", **changes(system(), bill, PageState.of_request()))


def _reversal_form(bill_id: UUID, item_id: UUID, form: Form) -> ResponseReturnValue:
    bill, item = queries.bill(system(), bill_id), queries.line_item(system(), bill_id, item_id)
    return page_or_dialog("reversals/new.html", status=form.status, bill=bill, item=item, form=form)
