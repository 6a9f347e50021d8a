"""Users, for administrators: all of them, one, a new one, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flask import flash, g, url_for
from flask.typing import ResponseReturnValue

from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import events
from webapp.identity import passwords, user_changes, users
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.identity.users import UserNotFound
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other
from webapp.system import system

EVENTS_SHOWN = 20


@pages.get("/settings/users")
@allow(Role.ADMIN)
def list_users() -> ResponseReturnValue:
    return render("users/index.html", users=users.every(system().engine), oidc=system().config.oidc)


@pages.get("/settings/users/new")
@allow(Role.ADMIN)
def new_user() -> ResponseReturnValue:
    return _new_user_page(Form({"role": Role.VIEWER}))


@pages.post("/settings/users")
@allow(Role.ADMIN)
def add_user() -> ResponseReturnValue:
    form = Form.submitted()
    password = form["password"] or passwords.generated()
    try:
        user_id, is_new = user_changes.add(
            system().engine, origin(form.key), email=form["email"], password=password, role=parse_role(form)
        )
    except REFUSALS as refusal:
        return _new_user_page(form.refused(refusal))
    if is_new and not form["password"]:
        shown_once.keep(str(user_id), password)
    return see_other(url_for("pages.show_user", user_id=user_id))


def _new_user_page(form: Form) -> ResponseReturnValue:
    return render("users/new.html", status=form.status, form=form, roles=Role)


@pages.get("/settings/users/<user_id>")
@allow(Role.ADMIN)
def show_user(user_id: str) -> ResponseReturnValue:
    return _user_page(_parse(user_id), Form())


@pages.post("/settings/users/<user_id>/role")
@allow(Role.ADMIN)
def change_role(user_id: str) -> ResponseReturnValue:
    form, user = Form.submitted(), _parse(user_id)
    return _done(
        user, form, lambda: user_changes.change_role(system().engine, origin(), user, parse_role(form)), "Role changed."
    )


@pages.post("/settings/users/<user_id>/disablement")
@allow(Role.ADMIN)
def disable_user(user_id: str) -> ResponseReturnValue:
    form, user = Form.submitted(), _parse(user_id)
    return _done(
        user, form, lambda: user_changes.disable(system().engine, origin(), user), "Disabled and signed out everywhere."
    )


@pages.post("/settings/users/<user_id>/disablement/end")
@allow(Role.ADMIN)
def enable_user(user_id: str) -> ResponseReturnValue:
    form, user = Form.submitted(), _parse(user_id)
    return _done(user, form, lambda: user_changes.enable(system().engine, origin(), user), "Enabled again.")


@pages.post("/settings/users/<user_id>/password")
@allow(Role.ADMIN)
def reset_password(user_id: str) -> ResponseReturnValue:
    form, user, password = Form.submitted(), _parse(user_id), passwords.generated()

    def reset() -> None:
        user_changes.reset_password(system().engine, origin(), user, password)
        shown_once.keep(str(user), password)

    return _done(user, form, reset, "Password reset, and signed out everywhere.")


@pages.post("/settings/users/<user_id>/second-factor/end")
@allow(Role.ADMIN)
def remove_users_second_factor(user_id: str) -> ResponseReturnValue:
    form, user = Form.submitted(), _parse(user_id)
    return _done(
        user,
        form,
        lambda: user_changes.remove_second_factor(system().engine, origin(), user),
        "Second factor removed, and signed out everywhere.",
    )


def _done(user_id: UUID, form: Form, do: Callable[[], None], outcome: str) -> ResponseReturnValue:
    try:
        do()
    except REFUSALS as refusal:
        return _user_page(user_id, form.refused(refusal))
    flash(outcome)
    return see_other(url_for("pages.show_user", user_id=user_id))


def _user_page(user_id: UUID, form: Form) -> ResponseReturnValue:
    user = users.by_id(system().engine, user_id)
    return render(
        "users/show.html",
        status=form.status,
        form=form,
        user=user,
        roles=Role,
        oidc=system().config.oidc,
        is_oneself=user.id == g.caller.account_id,
        passwords=shown_once.take(str(user.id)),
        events=events.latest_of_subject(system().engine, user.id, before_version=None, limit=EVENTS_SHOWN),
    )


def parse_role(form: Form) -> Role:
    """Raises InvalidArgument."""
    try:
        return Role(form["role"])
    except ValueError:
        raise InvalidArgument("role must be one of those offered", field="role") from None


def _parse(user_id: str) -> UUID:
    return parse_id(user_id, UserNotFound)
