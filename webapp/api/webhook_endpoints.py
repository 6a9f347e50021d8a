"""Webhook endpoints: where events are sent to, what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response

from billing.clock import parse_instant, rfc3339
from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import webhook_endpoints, webhook_log
from billing.ledger.public_events import parse_event_id
from billing.ledger.webhook_endpoints import WebhookEndpoint, WebhookEndpointNotFound, parse_types, parse_url
from billing.ledger.webhook_log import STATES, Delivery
from webapp import webhooks
from webapp.api import cursors, render
from webapp.api.blueprint import api
from webapp.api.body import expected_version, json_object, json_object_or_nothing
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.system import system
from webapp.webhooks import Issued

PATH = "/webhook-endpoints"
ONE = f"{PATH}/<endpoint_id>"


@api.post(PATH)
@allow(Role.ADMIN)
def create_webhook_endpoint() -> Response:
    """It is told of what happens from now on. The secret is in this answer and in no other."""
    parameters()
    body = json_object(("url", "types"))
    url, types = parse_url(body.get("url")), parse_types(body.get("types"))
    return _issued(webhooks.create(system(), origin(idempotency_key()), url, types))


@api.get(PATH)
@allow(Role.ADMIN)
def list_webhook_endpoints() -> Response:
    """All of them, oldest first."""
    parameters()
    texts = (render.to_json(_endpoint(endpoint)) for endpoint in webhook_endpoints.every(system().engine))
    return render.answer({"data": render.array(texts)})


@api.get(ONE)
@allow(Role.ADMIN)
def show_webhook_endpoint(endpoint_id: str) -> Response:
    parameters()
    id_ = _id_in(endpoint_id)
    endpoint = webhook_endpoints.by_id(system().engine, id_)
    pending = webhook_log.pending(system().engine, id_)
    return render.answer({"data": render.to_json({**_endpoint(endpoint), "pending": pending})})


@api.patch(ONE)
@allow(Role.ADMIN)
def edit_webhook_endpoint(endpoint_id: str) -> Response:
    """Changes `url` and `types` as far as they are given."""
    parameters()
    id_ = _id_in(endpoint_id)
    body = json_object(("url", "types", "expected_version"))
    changes: dict[str, Any] = {}
    if "url" in body:
        changes["url"] = parse_url(body["url"])
    if "types" in body:
        changes["types"] = parse_types(body["types"])
    seen = expected_version(body)
    return _answer(webhooks.edit(system(), origin(), id_, changes, expected_version=seen))


@api.post(f"{ONE}/rotate-secret")
@allow(Role.ADMIN)
def rotate_webhook_secret(endpoint_id: str) -> Response:
    """The new secret is in this answer and in no other; until `previous_secret_until` the one before signs too."""
    id_ = _bare(endpoint_id)
    return _issued(webhooks.rotate(system(), origin(idempotency_key()), id_))


@api.post(f"{ONE}/pause")
@allow(Role.ADMIN)
def pause_webhook_endpoint(endpoint_id: str) -> Response:
    return _answer(webhook_endpoints.pause(system().engine, origin(), _bare(endpoint_id)))


@api.post(f"{ONE}/resume")
@allow(Role.ADMIN)
def resume_webhook_endpoint(endpoint_id: str) -> Response:
    """Goes on from where it stopped."""
    return _answer(webhook_endpoints.resume(system().engine, origin(), _bare(endpoint_id)))


@api.delete(ONE)
@allow(Role.ADMIN)
def delete_webhook_endpoint(endpoint_id: str) -> Response:
    """With its deliveries. What was queued is sent no more; the feed still has all of it."""
    parameters()
    webhook_endpoints.remove(system().engine, origin(), _id_in(endpoint_id))
    return Response(status=204)


@api.get(f"{ONE}/deliveries")
@allow(Role.ADMIN)
def list_webhook_deliveries(endpoint_id: str) -> Response:
    """What was queued in the last thirty days, newest first, each with its newest attempts."""
    asked = parameters("status", "limit", "cursor")
    id_, size, status = _id_in(endpoint_id), limit(asked), asked.get("status")
    if status is not None and status not in STATES:
        raise InvalidArgument(f"status must be one of {', '.join(STATES)}", field="status")
    listing = ("webhook_deliveries", str(id_), status)
    before = cursors.read(asked.get("cursor"), *listing)
    found = webhook_log.deliveries(system().engine, id_, status=status, before=before, limit=size + 1)
    shown = found[:size]
    cursor = cursors.sign(shown[-1].n, *listing) if len(found) > size else None
    texts = (render.to_json(_delivery(delivery)) for delivery in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(cursor)})


@api.post(f"{ONE}/redeliver")
@allow(Role.ADMIN)
def redeliver_webhooks(endpoint_id: str) -> Response:
    """One event by its id, or all that occurred since an instant; in the order of each bill, before what waits."""
    parameters()
    id_ = _id_in(endpoint_id)
    body = json_object(("event_id", "since", "until", "only_failed"))
    wanted: dict[str, Any] = {"only_failed": _flag(body, "only_failed")}
    if body.get("event_id") is not None:
        wanted["event"] = parse_event_id(body["event_id"])
    for name in ("since", "until"):
        if body.get(name) is not None:
            wanted[name] = parse_instant(body[name], name)
    queued = webhooks.redeliver(system(), origin(idempotency_key()), id_, **wanted)
    return render.answer({"data": render.to_json({"queued": queued})})


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be true or false", field=name)
    return value


def _id_in(text: str) -> UUID:
    return parse_id(text, WebhookEndpointNotFound)


def _bare(endpoint_id: str) -> UUID:
    """Of a request that says nothing beside its path."""
    parameters()
    id_ = _id_in(endpoint_id)
    json_object_or_nothing(())
    return id_


def _answer(endpoint: WebhookEndpoint) -> Response:
    return render.answer({"data": render.to_json(_endpoint(endpoint))})


def _issued(issued: Issued) -> Response:
    shown = {**_endpoint(issued.endpoint), "secret": issued.secret}
    return render.answer({"data": render.to_json(shown)}, replayed=issued.replayed)


def _endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """`types` is null where it is told of all events."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "types": list(endpoint.types) if endpoint.types else None,
        "status": endpoint.status,
        "paused_reason": endpoint.paused_reason,
        "paused_at": endpoint.paused_at and rfc3339(endpoint.paused_at),
        "failing_since": endpoint.failing_since and rfc3339(endpoint.failing_since),
        "previous_secret_until": endpoint.previous_secret_until and rfc3339(endpoint.previous_secret_until),
        "version": endpoint.version,
        "created_at": rfc3339(endpoint.created_at),
        "updated_at": rfc3339(endpoint.updated_at),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "event_id": delivery.event_id,
        "type": delivery.type,
        "occurred_at": rfc3339(delivery.occurred_at),
        "status": delivery.status,
        "queued_at": rfc3339(delivery.queued_at),
        "next_attempt_at": delivery.next_attempt_at and rfc3339(delivery.next_attempt_at),
        "finished_at": delivery.finished_at and rfc3339(delivery.finished_at),
        "attempt_count": delivery.attempts,
        "attempts": [
            {
                "attempt": made.attempt,
                "attempted_at": rfc3339(made.attempted_at),
                "status": made.status,
                "latency_ms": made.latency_ms,
                "excerpt": made.excerpt,
                "error": made.error,
            }
            for made in delivery.made
        ],
    }
