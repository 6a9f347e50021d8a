"""Which currencies new lines may be in, of those that the configuration allows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from babel.numbers import get_currency_name
from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing import money
from billing.errors import VersionConflict
from webapp import offered
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other
from webapp.system import system

CHANGED = VersionConflict(
    "somebody else changed the currencies meanwhile; those that are offered now are marked. "
    "Save again to offer what is ticked"
)


@dataclass(frozen=True, slots=True)
class ShownCurrency:
    """`is_offered`: as stored; `is_ticked`: as the form has it."""

    code: str
    name: str
    minor_units: int
    is_offered: bool
    is_ticked: bool


@pages.get("/settings/currencies")
@allow(Role.VIEWER)
def show_currencies() -> ResponseReturnValue:
    return _currencies_page(Form())


@pages.post("/settings/currencies")
@allow(Role.ADMIN)
def offer_currencies() -> ResponseReturnValue:
    form, codes = Form.submitted(), request.form.getlist("offered")
    try:
        offered.offer(system(), origin(form.key), codes, expected_version=position(form.values, "version"))
    except VersionConflict:
        return _currencies_page(form.refused(CHANGED), ticked=codes)
    except REFUSALS as refusal:
        return _currencies_page(form.refused(refusal), ticked=codes)
    flash("Saved. New lines can be in these currencies from now on; bills keep all that is on them.")
    return see_other(url_for("pages.show_currencies"))


def _currencies_page(form: Form, *, ticked: Collection[str] | None = None) -> ResponseReturnValue:
    offer = offered.current(system())
    return render(
        "currencies/show.html",
        status=form.status,
        form=form,
        version=offer.version,
        count=len(offer.codes),
        currencies=[_shown(code, offer.codes, offer.codes if ticked is None else ticked) for code in offer.configured],
        last_change=offered.last_change(system()),
    )


def _shown(code: str, codes: Collection[str], ticked: Collection[str]) -> ShownCurrency:
    units = money.currency(code).minor_units
    return ShownCurrency(code, get_currency_name(code, locale="en"), units, code in codes, code in ticked)
