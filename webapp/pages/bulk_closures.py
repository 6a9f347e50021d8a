"""Closing many bills by hand: what exactly would be closed, then a wish for each and what became of it."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from billing.errors import BillNotFound
from billing.identifiers import parse_id
from webapp import bulk_closing, queries
from webapp.bulk_closing import MOST_AT_ONCE
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import render, see_other
from webapp.system import system


@pages.get("/bills/closures/new")
@allow(Role.OPERATOR)
def new_bulk_closure() -> ResponseReturnValue:
    chosen = list(dict.fromkeys(request.args.getlist("bill")))
    if not chosen:
        return see_other(url_for("pages.list_bills"))
    ids = [parse_id(text, BillNotFound) for text in chosen[:MOST_AT_ONCE]]
    return render(
        "bulk_closures/new.html",
        preview=bulk_closing.preview(system(), ids),
        rates=queries.current_rates(system()),
        left_out=len(chosen) - len(ids),
        most=MOST_AT_ONCE,
        form=Form(),
    )


@pages.post("/bills/closures")
@allow(Role.OPERATOR)
def close_bills() -> ResponseReturnValue:
    """Answers without going elsewhere: sent again, the same wishes have the same outcomes."""
    form = Form.submitted()
    versions = dict(_choice(text) for text in request.form.getlist("bill"))
    if not 0 < len(versions) <= MOST_AT_ONCE:
        raise BadRequest
    outcome = bulk_closing.close(system(), origin(form.key), versions)
    return render("bulk_closures/show.html", status=200 if outcome.wished else 409, outcome=outcome)


def _choice(text: str) -> tuple[UUID, int]:
    """A bill and the version of it that was shown. Raises BadRequest for what no form of ours holds."""
    bill_id, _, version = text.partition("~")
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise BadRequest
    return parse_id(bill_id, BillNotFound), int(version)
