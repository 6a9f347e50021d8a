"""API keys, for administrators: all of them, a new one which is shown once, and the end of one."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import events
from billing.ledger.customers import parse_external_id
from billing.text import parse_text
from webapp.identity import api_keys, scopes
from webapp.identity.access import allow
from webapp.identity.api_keys import LONGEST_NAME, ApiKeyNotFound
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.identity.scopes import MEANING, Scope
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other
from webapp.system import system

# What most integrations need, and no more than that.
TICKED_AT_FIRST = (Scope.BILLS_READ, Scope.ITEMS_WRITE)


@pages.get("/settings/api-keys")
@allow(Role.ADMIN)
def list_api_keys() -> ResponseReturnValue:
    """Those that open something first; the newest first among each."""
    found = sorted(api_keys.every(system().engine), key=lambda key: (key.revoked_at is None, key.id), reverse=True)
    return render("api_keys/index.html", keys=found)


@pages.get("/settings/api-keys/new")
@allow(Role.ADMIN)
def new_api_key() -> ResponseReturnValue:
    return _new_key_page(Form(), ticked=TICKED_AT_FIRST)


@pages.post("/settings/api-keys")
@allow(Role.ADMIN)
def issue_api_key() -> ResponseReturnValue:
    """Its page shows it, once. A repeat leads to the same page, which by then shows it no more."""
    form, ticked = Form.submitted(), request.form.getlist("scopes")
    try:
        name, opened, bound = _name(form), scopes.parse(ticked), _customers(form)
        test = form["kind"] == "test"
        by = origin(form.key)
        issued = api_keys.issue(system().engine, by, name=name, scopes=opened, customers=bound, test=test)
    except REFUSALS as refusal:
        return _new_key_page(form.refused(refusal), ticked=ticked)
    if issued.token:
        shown_once.keep(str(issued.id), issued.token)
    return see_other(url_for("pages.show_api_key", key_id=issued.id))


def _name(form: Form) -> str:
    name = parse_text(form["name"].strip(), "name", longest=LONGEST_NAME)
    if not name.isprintable():
        raise InvalidArgument("name must be one line of text", field="name")
    return name


def _customers(form: Form) -> list[str]:
    """One a line."""
    lines = (line.strip() for line in form["customers"].splitlines())
    return [parse_external_id(line, "customers") for line in lines if line]


def _new_key_page(form: Form, *, ticked: Collection[str]) -> ResponseReturnValue:
    return render("api_keys/new.html", status=form.status, form=form, scopes=MEANING, ticked=ticked)


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


@pages.app_template_filter("scopes_in_words")
def scopes_in_words(granted: Collection[Scope]) -> str:
    return "everything" if len(granted) == len(Scope) else ", ".join(scopes.in_order(granted))


def _parse(key_id: str) -> UUID:
    return parse_id(key_id, ApiKeyNotFound)
