"""Signing in by the OpenID Connect provider: there, and back."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, g, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.identity import oidc, signing_in
from webapp.identity.access import allow, public
from webapp.identity.oidc import Provider, ProviderUnavailable, SignInRefused
from webapp.identity.roles import Role
from webapp.modes import shows_test_mode, without_prefix
from webapp.pages.blueprint import pages
from webapp.pages.errors import NOTICES, notice
from webapp.pages.forms import Form
from webapp.pages.rendering import local_path, render, see_other
from webapp.pages.signing_in_again import sign_in_form
from webapp.system import system

_NEXT = "after_provider"


@pages.get("/session/provider/new")
@public
def go_to_provider() -> ResponseReturnValue:
    """A link and no form: the content security policy lets forms go nowhere else."""
    provider = _provider()
    if provider is None:
        return notice(404, *NOTICES[404])
    session[_NEXT] = request.args.get("next") or (url_for("pages.home") if shows_test_mode() else "")
    try:
        return provider.send_there(_way_back())
    except ProviderUnavailable:
        return _unavailable(provider)


@pages.get("/session/provider")
@public
def come_from_provider() -> ResponseReturnValue:
    provider = _provider()
    if provider is None:
        return notice(404, *NOTICES[404])
    back_to = session.get(_NEXT)
    try:
        claims = provider.claims()
        browser = signing_in.this_browser()
        oidc.sign_in(system().engine, provider.settings, claims, browser=browser, request_id=g.request_id)
    except ProviderUnavailable:
        return _unavailable(provider)
    except SignInRefused as refusal:
        return sign_in_form(Form({"next": back_to or ""}, {"": str(refusal)}, status=403))
    return see_other(local_path(back_to) or url_for("pages.home"))


@pages.get("/session/return")
@allow(Role.VIEWER)
def show_return() -> ResponseReturnValue:
    """For who signed in beside a page that waits."""
    return render("sessions/return.html")


def _provider() -> Provider | None:
    found: Provider | None = current_app.extensions["oidc"]
    return found


def _way_back() -> str:
    """By the configured address of these pages, whatever host a request names; the one that the provider knows."""
    return f"{system().config.public_url}{without_prefix(urlsplit(url_for('pages.come_from_provider')).path)}"


def _unavailable(provider: Provider) -> ResponseReturnValue:
    sentence = f"{provider.settings.name} can't be reached. Try again in a moment."
    response = sign_in_form(Form({"next": session.get(_NEXT, "")}, {"": sentence}, status=503))
    response.headers["Retry-After"] = "10"
    return response
