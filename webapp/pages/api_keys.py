"""API keys, for administrators: all of them, a new one which is shown once, and the end of one."""

from __future__ import annotations

from uuid import UUID

from flask import flash, url_for
from flask.typing import ResponseReturnValue

from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import events
from billing.text import parse_text
from webapp.identity import api_keys
from webapp.identity.access import allow
from webapp.identity.api_keys import LONGEST_NAME, ApiKeyNotFound
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other
from webapp.pages.users import parse_role
from webapp.system import system


@pages.get("/settings/api-keys")
@allow(Role.ADMIN)
def list_api_keys() -> ResponseReturnValue:
    """Those that open something first; the newest first among each."""
    found = sorted(api_keys.every(system().engine), key=lambda key: (key.revoked_at is None, key.id), reverse=True)
    return render("api_keys/index.html", keys=found)


@pages.get("/settings/api-keys/new")
@allow(Role.ADMIN)
def new_api_key() -> ResponseReturnValue:
    return _new_key_page(Form({"role": Role.OPERATOR}))


@pages.post("/settings/api-keys")
@allow(Role.ADMIN)
def issue_api_key() -> ResponseReturnValue:
    """Its page shows it, once. A repeat leads to the same page, which by then shows it no more."""
    form = Form.submitted()
    try:
        issued = api_keys.issue(system().engine, origin(form.key), name=_name(form), role=parse_role(form))
    except REFUSALS as refusal:
        return _new_key_page(form.refused(refusal))
    if issued.token:
        shown_once.keep(str(issued.id), issued.token)
    return see_other(url_for("pages.show_api_key", key_id=issued.id))


def _name(form: Form) -> str:
    name = parse_text(form["name"].strip(), "name", longest=LONGEST_NAME)
    if not name.isprintable():
        raise InvalidArgument("name must be one line of text", field="name")
    return name


def _new_key_page(form: Form) -> ResponseReturnValue:
    return render("api_keys/new.html", status=form.status, form=form, roles=Role)


@pages.get("/settings/api-keys/<key_id>")
@allow(Role.ADMIN)
def show_api_key(key_id: str) -> ResponseReturnValue:
    key = api_keys.by_id(system().engine, _parse(key_id))
    happened = events.latest_of_subject(system().engine, key.id, before_version=None, limit=2)
    tokens = shown_once.take(str(key.id))
    return render("api_keys/show.html", key=key, tokens=tokens, events=happened, form=Form())


@pages.post("/settings/api-keys/<key_id>/revocation")
@allow(Role.ADMIN)
def revoke_api_key(key_id: str) -> ResponseReturnValue:
    form, key = Form.submitted(), _parse(key_id)
    api_keys.revoke(system().engine, key, origin(form.key))
    flash("Revoked: from this moment on it opens nothing.")
    return see_other(url_for("pages.show_api_key", key_id=key))


def _parse(key_id: str) -> UUID:
    return parse_id(key_id, ApiKeyNotFound)
