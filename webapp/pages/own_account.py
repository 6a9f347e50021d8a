"""One's own account: the password, the second factor, the browsers that are signed in."""

from __future__ import annotations

from uuid import UUID

from flask import flash, g, url_for
from flask.typing import ResponseReturnValue

from billing.errors import ResourceExhausted
from billing.identifiers import parse_id
from webapp.identity import second_factors, sessions, signing_in, users
from webapp.identity.access import allow
from webapp.identity.caller import Caller
from webapp.identity.roles import Role
from webapp.identity.sessions import SessionNotFound
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other
from webapp.pages.sessions import come_back, sign_out, waiting
from webapp.system import system

NOT_THE_SAME = "The two don't agree."


@pages.get("/settings/account")
@allow(Role.VIEWER)
def show_account() -> ResponseReturnValue:
    return _page(Form())


@pages.post("/settings/account/password")
@allow(Role.VIEWER)
def change_password() -> ResponseReturnValue:
    form, caller = Form.submitted(), g.caller
    if form["new_password"] != form["new_password_again"]:
        return _page(Form({}, {"new_password_again": NOT_THE_SAME}, status=400))
    try:
        old, new = form["old_password"], form["new_password"]
        signing_in.change_password(system().engine, caller, old=old, new=new, key=form.key)
    except ResourceExhausted as wait:
        return come_back(_page(waiting(form, wait)), wait)
    except REFUSALS as refusal:
        return _page(form.refused(refusal))
    flash("Your password is changed. Other browsers that were signed in are not any more.")
    return see_other(url_for("pages.show_account"))


@pages.post("/settings/account/sessions/<session_id>/end")
@allow(Role.VIEWER)
def end_one_session(session_id: str) -> ResponseReturnValue:
    caller, ended = g.caller, _parse(session_id)
    if ended == caller.session_id:
        return sign_out()
    sessions.end(system().engine, caller.account_id, ended)
    flash("That browser is signed out.")
    return see_other(url_for("pages.show_account"))


@pages.post("/settings/account/sessions/end")
@allow(Role.VIEWER)
def end_other_sessions() -> ResponseReturnValue:
    sessions.end_others(system().engine, g.caller.account_id, but=g.caller.session_id)
    flash("All other browsers are signed out.")
    return see_other(url_for("pages.show_account"))


def _page(form: Form) -> ResponseReturnValue:
    caller: Caller = g.caller
    engine = system().engine
    return render(
        "account/show.html",
        status=form.status,
        form=form,
        user=users.by_id(engine, caller.account_id),
        oidc=system().config.oidc,
        sessions=sessions.of_user(engine, caller.account_id, this=caller.session_id),
        codes_left=second_factors.recovery_codes_left(engine, caller.account_id),
    )


def _parse(session_id: str) -> UUID:
    return parse_id(session_id, SessionNotFound)
