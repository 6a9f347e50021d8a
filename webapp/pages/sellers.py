"""Who sends the bills, as those closed from now on will have it; and the logos of all that were."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from billing.bill import Seller
from billing.errors import VersionConflict
from billing.ledger import seller as stored
from billing.logo import LARGEST_BYTES, Logo
from webapp.assets import FOR_EVER
from webapp.identity.access import allow, public
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.logos import printable
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other
from webapp.system import system
from webapp.uploads import takes_upload

# Pictures somewhat too large are refused in the form, beside all that was typed.
LARGEST_UPLOAD = 4 * 1024 * 1024
FIELDS = ("name", "address", "tax_id")
CHANGED = VersionConflict(
    "somebody else changed the seller meanwhile; what is stored now is shown beside this. Save again to replace it"
)


@pages.get("/settings/seller")
@allow(Role.VIEWER)
def show_seller() -> ResponseReturnValue:
    seller, _ = stored.read_version(system().engine)
    return _seller_page(Form({field: getattr(seller, field) for field in FIELDS}))


@pages.post("/settings/seller")
@allow(Role.ADMIN)
@takes_upload(LARGEST_UPLOAD)
def change_seller() -> ResponseReturnValue:
    form = Form.submitted()
    try:
        logo = _new_logo()
        seller = _typed(form)
        version = position(form.values, "version")
        stored.change(system().engine, origin(form.key), seller, new_logo=logo, expected_version=version)
    except VersionConflict:
        return _seller_page(_naming_file(form).refused(CHANGED))
    except REFUSALS as refusal:
        return _seller_page(_naming_file(form).refused(refusal))
    flash("Saved. Bills closed from now on have these details; those closed before keep theirs.")
    return see_other(url_for("pages.show_seller"))


def _naming_file(form: Form) -> Form:
    """No browser keeps a chosen file in a form that comes back: its name is all that can be shown."""
    chosen = request.files.get("logo")
    return Form({**form.values, "logo": (chosen and chosen.filename) or ""}, key=form.key)


def _typed(form: Form) -> Seller:
    """With the present logo, unless it is to go."""
    typed = stored.parse(*(form[field].strip() for field in FIELDS))
    return typed if form["remove_logo"] else replace(typed, logo=stored.read(system().engine).logo)


def _new_logo() -> Logo | None:
    """None when no file was chosen."""
    chosen = request.files.get("logo")
    content = chosen.read(LARGEST_BYTES + 1) if chosen else b""
    return printable(content) if content else None


def _seller_page(form: Form) -> ResponseReturnValue:
    seller, version = stored.read_version(system().engine)
    return render(
        "sellers/show.html",
        status=form.status,
        form=form,
        seller=seller,
        version=version,
        last_change=stored.last_change(system().engine),
    )


@pages.get("/logos/<digest>")
@public
def show_logo(digest: str) -> ResponseReturnValue:
    """Its address says what it is: it can't be guessed, and never changes."""
    logo = stored.logo(system().engine, digest[:64].replace("\0", ""))
    if logo is None:
        raise NotFound
    response = Response(logo.content, mimetype=logo.kind)
    response.headers["Cache-Control"] = FOR_EVER
    return response
