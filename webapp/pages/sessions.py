"""Signing in and out."""

from __future__ import annotations

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from webapp.identity import sessions
from webapp.identity.access import allow, public
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import local_path, render, see_other
from webapp.system import system

# The same for an unknown address and a wrong password.
NO_MATCH = "E-mail and password don't fit."


@pages.get("/session/new")
@public
def new_session() -> ResponseReturnValue:
    return _sign_in_page(Form({"next": request.args.get("next", "")}))


@pages.post("/session")
@public
def create_session() -> ResponseReturnValue:
    form = Form(request.form)
    if not sessions.sign_in(system().engine, form["email"], form["password"]):
        return _sign_in_page(Form(form.values, {"": NO_MATCH}, status=401))
    return see_other(local_path(form["next"]) or url_for("pages.list_bills"))


@pages.post("/session/end")
@allow(Role.VIEWER)
def end_session() -> ResponseReturnValue:
    sessions.sign_out(system().engine)
    return see_other(url_for("pages.new_session"))


def _sign_in_page(form: Form) -> Response:
    return render("sessions/new.html", status=form.status, form=form)
