"""Webhook endpoints: where events are sent to, what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response

from billing.clock import parse_instant
from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import webhook_endpoints, webhook_log, webhook_redelivery, webhook_removal
from billing.ledger.public_events import parse_event_id
from billing.ledger.webhook_endpoints import (
    TooManyWebhookEndpoints,
    WebhookEndpoint,
    WebhookEndpointNotFound,
    parse_types,
    parse_url,
)
from billing.ledger.webhook_log import STATES
from billing.ledger.webhook_redelivery import Range, Redelivery, WebhookDeliveryNotFound
from webapp import webhooks
from webapp.api import cursors, render
from webapp.api.blueprint import api
from webapp.api.body import expected_version, flag, json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import (
    ISSUED_WEBHOOK_ENDPOINT,
    QUEUED,
    WEBHOOK_DELIVERY,
    WEBHOOK_ENDPOINT,
    Answer,
    data,
    page,
)
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import array
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import system
from webapp.webhooks import Issued

PATH = "/webhook-endpoints"
ONE = f"{PATH}/<endpoint_id>"
THE_ENDPOINT = Answer("The endpoint.", data(WEBHOOK_ENDPOINT))
WITH_SECRET = Answer("The endpoint, with its new secret.", data(ISSUED_WEBHOOK_ENDPOINT))
NO_BODY = Body((), may_be_empty=True)
NEITHER = InvalidArgument("either event_id or since is needed", reason="required", field="event_id")


@api.post(PATH)
@allow(Scope.WEBHOOKS)
@operation(
    "Create a webhook endpoint",
    body=Body((fields.URL, fields.TYPES)),
    answers={200: WITH_SECRET},
    is_idempotent=True,
    refusals=(TooManyWebhookEndpoints, WebhookEndpointNotFound),
)
def create_webhook_endpoint() -> Response:
    """It is told of what happens from now on. The secret is in this answer and in no other. Repeated when the endpoint
    has been deleted since, it is 404, and makes none."""
    parameters()
    body = json_object()
    url, types = parse_url(body.get("url")), parse_types(body.get("types"))
    return _issued(webhooks.create(system(), origin(idempotency_key()), url, types))


@api.get(PATH)
@allow(Scope.WEBHOOKS)
@operation("List webhook endpoints", answers={200: Answer("All of them.", data(array(WEBHOOK_ENDPOINT)))})
def list_webhook_endpoints() -> Response:
    """All of them, oldest first."""
    parameters()
    texts = (render.to_json(render.webhook_endpoint(endpoint)) for endpoint in webhook_endpoints.every(system().engine))
    return render.answer({"data": render.array(texts)})


@api.get(ONE)
@allow(Scope.WEBHOOKS)
@operation("Read a webhook endpoint", answers={200: THE_ENDPOINT})
def show_webhook_endpoint(endpoint_id: str) -> Response:
    parameters()
    id_ = _id_in(endpoint_id)
    endpoint = webhook_endpoints.by_id(system().engine, id_)
    pending = webhook_log.pending(system().engine, id_)
    return render.answer({"data": render.to_json({**render.webhook_endpoint(endpoint), "pending": pending})})


@api.patch(ONE)
@allow(Scope.WEBHOOKS)
@operation(
    "Edit a webhook endpoint",
    body=Body((fields.NEW_URL, fields.TYPES, fields.EXPECTED_VERSION)),
    answers={200: THE_ENDPOINT},
)
def edit_webhook_endpoint(endpoint_id: str) -> Response:
    """Changes `url` and `types` as far as they are given."""
    parameters()
    id_ = _id_in(endpoint_id)
    body = json_object()
    changes: dict[str, Any] = {}
    if "url" in body:
        changes["url"] = parse_url(body["url"])
    if "types" in body:
        changes["types"] = parse_types(body["types"])
    seen = expected_version(body)
    return _answer(webhooks.edit(system(), origin(), id_, changes, expected_version=seen))


@api.post(f"{ONE}/rotate-secret")
@allow(Scope.WEBHOOKS)
@operation("Give a webhook endpoint a new secret", body=NO_BODY, answers={200: WITH_SECRET}, is_idempotent=True)
def rotate_webhook_secret(endpoint_id: str) -> Response:
    """The new secret is in this answer and in no other; until `previous_secret_until` the one before signs too."""
    id_ = _bare(endpoint_id)
    return _issued(webhooks.rotate(system(), origin(idempotency_key()), id_))


@api.post(f"{ONE}/pause")
@allow(Scope.WEBHOOKS)
@operation("Pause a webhook endpoint", body=NO_BODY, answers={200: THE_ENDPOINT})
def pause_webhook_endpoint(endpoint_id: str) -> Response:
    """Nothing is sent, and nothing is lost."""
    return _answer(webhook_endpoints.pause(system().engine, origin(), _bare(endpoint_id)))


@api.post(f"{ONE}/resume")
@allow(Scope.WEBHOOKS)
@operation("Resume a webhook endpoint", body=NO_BODY, answers={200: THE_ENDPOINT})
def resume_webhook_endpoint(endpoint_id: str) -> Response:
    """Goes on from where it stopped."""
    return _answer(webhook_endpoints.resume(system().engine, origin(), _bare(endpoint_id)))


@api.delete(ONE)
@allow(Scope.WEBHOOKS)
@operation("Delete a webhook endpoint", answers={204: Answer("It is deleted.", None)})
def delete_webhook_endpoint(endpoint_id: str) -> Response:
    """With its deliveries. What was queued is sent no more; the feed still has all of it."""
    parameters()
    webhook_removal.remove(system().engine, origin(), _id_in(endpoint_id))
    return Response(status=204)


@api.get(f"{ONE}/deliveries")
@allow(Scope.WEBHOOKS)
@operation(
    "List a webhook endpoint's deliveries",
    query=(fields.DELIVERY_STATUS, fields.LIMIT, fields.PAGE_CURSOR),
    answers={200: Answer("A page of deliveries.", page(WEBHOOK_DELIVERY))},
)
def list_webhook_deliveries(endpoint_id: str) -> Response:
    """What was queued in the last thirty days, newest first, each with its newest attempts."""
    asked = parameters()
    id_, size, status = _id_in(endpoint_id), limit(asked), asked.get("status")
    if status is not None and status not in STATES:
        raise InvalidArgument(f"status must be one of {', '.join(STATES)}", field="status")
    listing = ("webhook_deliveries", str(id_), status)
    before = cursors.read(asked.get("cursor"), *listing)
    found = webhook_log.deliveries(system().engine, id_, status=status, before=before, limit=size + 1)
    shown = found[:size]
    cursor = cursors.sign(shown[-1].n, *listing) if len(found) > size else None
    texts = (render.to_json(render.webhook_delivery(delivery)) for delivery in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(cursor)})


@api.post(f"{ONE}/redeliver")
@allow(Scope.WEBHOOKS)
@operation(
    "Send events again",
    body=Body((fields.EVENT_ID, fields.SINCE, fields.UNTIL, fields.ONLY_FAILED)),
    answers={200: Answer("They are queued.", data(QUEUED))},
    is_idempotent=True,
    refusals=(NEITHER, WebhookDeliveryNotFound),
)
def redeliver_webhooks(endpoint_id: str) -> Response:
    """One event by its id, or all that occurred since an instant and was queued by now; each bill's in their order."""
    parameters()
    id_ = _id_in(endpoint_id)
    done = _redelivered(id_, json_object())
    return render.answer({"data": render.to_json({"queued": done.queued})}, replayed=done.replayed)


def _redelivered(endpoint_id: UUID, body: Mapping[str, Any]) -> Redelivery:
    event, only_failed = body.get("event_id"), flag(body, "only_failed")
    since, until = (parse_instant(body[n], n) if body.get(n) is not None else None for n in ("since", "until"))
    if (event is None) == (since is None):
        raise NEITHER
    asked = origin(idempotency_key())
    if since is None:
        return webhooks.redeliver_one(system(), asked, endpoint_id, parse_event_id(event))
    return webhook_redelivery.redeliver(system().engine, asked, endpoint_id, Range(since, until, only_failed))


def _id_in(text: str) -> UUID:
    return parse_id(text, WebhookEndpointNotFound)


def _bare(endpoint_id: str) -> UUID:
    """Of a request that says nothing beside its path."""
    parameters()
    id_ = _id_in(endpoint_id)
    json_object()
    return id_


def _answer(endpoint: WebhookEndpoint) -> Response:
    return render.answer({"data": render.to_json(render.webhook_endpoint(endpoint))})


def _issued(issued: Issued) -> Response:
    shown = {**render.webhook_endpoint(issued.endpoint), "secret": issued.secret}
    return render.answer({"data": render.to_json(shown)}, replayed=issued.replayed)
