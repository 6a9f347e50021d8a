"""Webhook endpoints, for administrators: all of them, a new one, and the life of one; what was sent to it is in
`webhook_deliveries`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.errors import InvalidArgument, VersionConflict
from billing.identifiers import parse_id
from billing.ledger import webhook_endpoints, webhook_removal
from billing.ledger.public_events import PUBLIC
from billing.ledger.webhook_endpoints import WebhookEndpoint, WebhookEndpointNotFound, parse_types, parse_url
from webapp import webhooks
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages import shown_once
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other
from webapp.system import system
from webapp.webhooks import Issued

EVERY, SOME = "every", "some"
CHANGED = VersionConflict("somebody else changed this webhook meanwhile; save again to store what is typed here")


@pages.get("/settings/webhooks")
@allow(Role.ADMIN)
def list_webhooks() -> ResponseReturnValue:
    """The newest first."""
    return render("webhooks/index.html", endpoints=webhook_endpoints.every(system().engine)[::-1])


@pages.get("/settings/webhooks/new")
@allow(Role.ADMIN)
def new_webhook() -> ResponseReturnValue:
    return _new_page(Form({"told": EVERY}))


@pages.post("/settings/webhooks")
@allow(Role.ADMIN)
def add_webhook() -> ResponseReturnValue:
    """Its page shows its secret, once. A repeat leads to the same page, which by then shows it no more."""
    form = _submitted()
    try:
        issued = webhooks.create(system(), origin(form.key), parse_url(form["url"].strip()), _types(form))
    except REFUSALS as refusal:
        return _new_page(form.refused(refusal))
    return _with_secret(issued)


def _new_page(form: Form) -> ResponseReturnValue:
    return render(
        "webhooks/new.html", status=form.status, form=form, types=PUBLIC, ticked=request.form.getlist("types")
    )


def _submitted() -> Form:
    """Boxes of which none is ticked aren't sent."""
    form = Form.submitted()
    return replace(form, values={"types": "", **form.values})


def _types(form: Form) -> tuple[str, ...] | None:
    """None for all of them, those that come later included."""
    if form["told"] != SOME:
        return None
    ticked = request.form.getlist("types")
    if not ticked:
        raise InvalidArgument("tick at least one type of event", field="types")
    return parse_types(ticked)


def _with_secret(issued: Issued) -> ResponseReturnValue:
    if issued.secret:
        shown_once.keep(str(issued.endpoint.id), issued.secret)
    return see_other(url_for("pages.show_webhook", endpoint_id=issued.endpoint.id))


@pages.get("/settings/webhooks/<endpoint_id>/edit")
@allow(Role.ADMIN)
def edit_webhook(endpoint_id: str) -> ResponseReturnValue:
    endpoint = webhook_endpoints.by_id(system().engine, parse_endpoint_id(endpoint_id))
    form = Form({"url": endpoint.url, "told": SOME if endpoint.types else EVERY})
    return _edit_page(endpoint, form, list(endpoint.types or ()))


@pages.post("/settings/webhooks/<endpoint_id>")
@allow(Role.ADMIN)
def save_webhook(endpoint_id: str) -> ResponseReturnValue:
    form, id_ = _submitted(), parse_endpoint_id(endpoint_id)
    ticked = request.form.getlist("types")
    try:
        webhooks.edit(
            system(),
            origin(form.key),
            id_,
            {"url": parse_url(form["url"].strip()), "types": _types(form)},
            expected_version=position(form.values, "version"),
        )
    except VersionConflict:
        return _edit_page(webhook_endpoints.by_id(system().engine, id_), form.refused(CHANGED), ticked)
    except REFUSALS as refusal:
        return _edit_page(webhook_endpoints.by_id(system().engine, id_), form.refused(refusal), ticked)
    flash("Saved. What is sent from now on goes there.")
    return see_other(url_for("pages.show_webhook", endpoint_id=id_))


def _edit_page(endpoint: WebhookEndpoint, form: Form, ticked: list[str]) -> ResponseReturnValue:
    return render("webhooks/edit.html", status=form.status, endpoint=endpoint, form=form, types=PUBLIC, ticked=ticked)


@pages.post("/settings/webhooks/<endpoint_id>/secret")
@allow(Role.ADMIN)
def rotate_webhook_secret(endpoint_id: str) -> ResponseReturnValue:
    form, id_ = Form.submitted(), parse_endpoint_id(endpoint_id)
    return _with_secret(webhooks.rotate(system(), origin(form.key), id_))


@pages.post("/settings/webhooks/<endpoint_id>/pause")
@allow(Role.ADMIN)
def pause_webhook(endpoint_id: str) -> ResponseReturnValue:
    return _done(endpoint_id, webhook_endpoints.pause, "Paused: nothing is sent, and nothing is lost.")


@pages.post("/settings/webhooks/<endpoint_id>/pause/end")
@allow(Role.ADMIN)
def resume_webhook(endpoint_id: str) -> ResponseReturnValue:
    return _done(endpoint_id, webhook_endpoints.resume, "Resumed: it goes on from where it stopped.")


def _done(endpoint_id: str, do: Callable[..., object], outcome: str) -> ResponseReturnValue:
    form, id_ = Form.submitted(), parse_endpoint_id(endpoint_id)
    do(system().engine, origin(form.key), id_)
    flash(outcome)
    return see_other(url_for("pages.show_webhook", endpoint_id=id_))


@pages.post("/settings/webhooks/<endpoint_id>/removal")
@allow(Role.ADMIN)
def remove_webhook(endpoint_id: str) -> ResponseReturnValue:
    form, id_ = Form.submitted(), parse_endpoint_id(endpoint_id)
    webhook_removal.remove(system().engine, origin(form.key), id_)
    flash("Deleted: nothing is sent there any more.")
    return see_other(url_for("pages.list_webhooks"))


def parse_endpoint_id(text: str) -> UUID:
    return parse_id(text, WebhookEndpointNotFound)
