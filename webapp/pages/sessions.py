"""Signing in, in one step or two, and out."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, g, make_response, request, url_for
from flask.typing import ResponseReturnValue

from billing.errors import ResourceExhausted
from webapp.identity import sessions, signing_in
from webapp.identity.access import allow, open_before_enrolment, public
from webapp.identity.attempts import TooManyAttempts
from webapp.identity.passwords import Busy
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import see_other, wants_fragment
from webapp.pages.signing_in_again import code_form, sign_in_form, signed_in
from webapp.system import system

# The same for an unknown address and a wrong password.
NO_MATCH = "E-mail and password don't fit."
BUSY = "Many people sign in at this moment. Try again in a few seconds."
NO_CODE = "This code doesn't fit, or was used before. Take the next one."


@pages.get("/session/new")
@public
def new_session() -> ResponseReturnValue:
    return sign_in_form(Form({"next": request.args.get("next", "")}))


@pages.post("/session")
@public
def create_session() -> ResponseReturnValue:
    form = Form(request.form)
    try:
        user = signing_in.with_password(system().engine, form["email"], form["password"])
    except ResourceExhausted as wait:
        return come_back(sign_in_form(waiting(form, wait)), wait)
    if user is None:
        return sign_in_form(Form(form.values, {"": NO_MATCH}, status=401))
    return _code_wanted(form) if user.has_second_factor else _welcome(form)


@pages.get("/session/code")
@public
def new_code() -> ResponseReturnValue:
    if sessions.halfway(system().engine) is None:
        return see_other(url_for("pages.new_session", next=request.args.get("next")))
    return code_form(Form({"next": request.args.get("next", "")}))


@pages.post("/session/code")
@public
def confirm_code() -> ResponseReturnValue:
    form, halfway = Form(request.form), sessions.halfway(system().engine)
    if halfway is None:
        return sign_in_form(Form(form.values, {"": "That took too long. Sign in again."}, status=401))
    try:
        fits = signing_in.with_code(system().engine, system().seal, halfway, form["code"])
    except TooManyAttempts as wait:
        return come_back(code_form(waiting(form, wait)), wait)
    if not fits:
        return code_form(Form(form.values, {"code": NO_CODE}, status=401))
    return _welcome(form)


@pages.get("/session")
@allow(Role.VIEWER)
def show_session() -> ResponseReturnValue:
    """For a page whose user signed in elsewhere, in another tab: on with it. Otherwise the page to sign in."""
    if not wants_fragment():
        return see_other(url_for("pages.home"))
    return signed_in(Form(request.args))


@pages.post("/session/end")
@allow(Role.VIEWER)
@open_before_enrolment
def end_session() -> ResponseReturnValue:
    return sign_out()


def sign_out() -> ResponseReturnValue:
    """Ends the caller's session here; the browser forgets the pages that it could go back to."""
    sessions.sign_out(system().engine)
    response = make_response(see_other(url_for("pages.new_session")))
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def waiting(form: Form, wait: ResourceExhausted) -> Form:
    """The form with the time to wait."""
    if isinstance(wait, Busy):
        return Form(form.values, {"": BUSY}, status=429)
    minutes = -(-wait.retry_after_s // 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    sentence = f"Too many attempts. Try again in {when}; a right password has to wait too."
    return Form(form.values, {"": sentence}, status=429)


def come_back(response: Response, wait: ResourceExhausted) -> Response:
    """The answer with the same time for programs."""
    response.headers["Retry-After"] = str(wait.retry_after_s)
    return response


def _code_wanted(form: Form) -> ResponseReturnValue:
    """As an answer of its own only where it has something to carry."""
    if form["kept"] or wants_fragment():
        return code_form(replace(form, values={**form.values, "password": ""}))
    return see_other(url_for("pages.new_code", next=form["next"] or None))


def _welcome(form: Form) -> ResponseReturnValue:
    g.caller = sessions.authenticate(system().engine, system().config.require_totp)
    return signed_in(form)
