"""Setting up one's second factor, its recovery codes, and doing without it again."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, g, url_for
from flask.typing import ResponseReturnValue

from billing.errors import ResourceExhausted
from webapp.identity import second_factors, signing_in, users
from webapp.identity.access import allow, open_before_enrolment
from webapp.identity.caller import Caller, origin
from webapp.identity.roles import Role
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other
from webapp.pages.sessions import come_back, waiting
from webapp.system import system

RECOVERY_CODES = "recovery codes"


@pages.get("/settings/account/second-factor/new")
@allow(Role.VIEWER)
@open_before_enrolment
def new_second_factor() -> ResponseReturnValue:
    return _enrolment(Form(), second_factors.new_secret())


@pages.post("/settings/account/second-factor")
@allow(Role.VIEWER)
@open_before_enrolment
def add_second_factor() -> ResponseReturnValue:
    """Until a code fits, the form keeps the secret that the app has already taken."""
    form, caller = Form.submitted(), g.caller
    secret = second_factors.taken_back(system().seal, caller.account_id, form["offer"])
    if secret is None:
        return _enrolment(Form({}, {"": "That took too long. Scan the new code."}, status=400), None)
    try:
        codes = signing_in.enrol(system().engine, system().seal, caller, secret, form["code"])
    except ResourceExhausted as wait:
        return come_back(_enrolment(waiting(form, wait), secret), wait)
    except REFUSALS as refusal:
        return _enrolment(form.refused(refusal), secret)
    shown_once.keep(RECOVERY_CODES, *codes)
    return see_other(url_for("pages.show_recovery_codes"))


@pages.get("/settings/account/second-factor/removal")
@allow(Role.VIEWER)
def new_second_factor_removal() -> ResponseReturnValue:
    return render("account/removal.html", form=Form())


@pages.post("/settings/account/second-factor/removal")
@allow(Role.VIEWER)
def remove_second_factor() -> ResponseReturnValue:
    def remove(caller: Caller) -> None:
        second_factors.remove(system().engine, origin(), caller.account_id)
        flash("Your second factor is removed.")

    return _with_password("account/removal.html", remove) or see_other(url_for("pages.show_account"))


@pages.get("/settings/account/recovery-codes")
@allow(Role.VIEWER)
def show_recovery_codes() -> ResponseReturnValue:
    return render("account/recovery_codes.html", form=Form(), codes=shown_once.take(RECOVERY_CODES))


@pages.post("/settings/account/recovery-codes")
@allow(Role.VIEWER)
def replace_recovery_codes() -> ResponseReturnValue:
    def replace(caller: Caller) -> None:
        codes = second_factors.replace_recovery_codes(system().engine, origin(), caller.account_id)
        shown_once.keep(RECOVERY_CODES, *codes)

    refused = _with_password("account/recovery_codes.html", replace)
    return refused or see_other(url_for("pages.show_recovery_codes"))


def _with_password(template: str, do: Callable[[Caller], None]) -> ResponseReturnValue | None:
    """Does it for who gives the password; otherwise the page with what is wrong."""
    form = Form.submitted()
    try:
        signing_in.check_own_password(system().engine, g.caller, form["password"])
        do(g.caller)
    except ResourceExhausted as wait:
        return come_back(render(template, status=429, form=waiting(form, wait), codes=[]), wait)
    except REFUSALS as refusal:
        form = form.refused(refusal)
        return render(template, status=form.status, form=form, codes=[])
    return None


def _enrolment(form: Form, secret: str | None) -> ResponseReturnValue:
    caller: Caller = g.caller
    user = users.by_id(system().engine, caller.account_id)
    if user.has_second_factor:
        return see_other(url_for("pages.show_account"))
    secret = secret or second_factors.new_secret()
    return render(
        "account/enrolment.html",
        status=form.status,
        form=form,
        must_enrol=caller.must_enrol,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        picture=second_factors.qr_code(second_factors.address_of(secret, user.email)),
        offer=second_factors.offered(system().seal, user.id, secret),
    )
