"""What administrators do with webhook endpoints, from a page or through the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from billing.ledger import webhook_endpoints, webhook_redelivery, webhook_secrets
from billing.ledger.public_events import EventId
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.ledger.webhook_redelivery import Redelivery
from billing.origin import Origin
from billing.webhooks import new_secret
from webapp.system import System
from workflows import outgoing
from workflows.delivering import purpose
from workflows.outgoing import Policy


@dataclass(frozen=True, slots=True)
class Issued:
    """An endpoint with its new secret, which nobody can be shown again: None when a repeat finds what the first
    request made."""

    endpoint: WebhookEndpoint
    secret: str | None

    @property
    def replayed(self) -> bool:
        return self.secret is None


def create(system: System, origin: Origin, url: str, types: tuple[str, ...] | None) -> Issued:
    """Raises AddressRefused, TooManyWebhookEndpoints. A repeat finds what there is, wherever its name leads by now."""
    known = webhook_endpoints.created(system.engine, origin, url, types)
    if known is not None:
        return Issued(known, None)
    _check(system, url)
    secret = new_secret()
    endpoint, replayed = webhook_endpoints.create(
        system.engine, origin, url, types, lambda id_: system.seal.close(purpose(id_), secret)
    )
    return Issued(endpoint, None if replayed else secret)


def edit(
    system: System,
    origin: Origin,
    endpoint_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
) -> WebhookEndpoint:
    """`changes` may hold `url` and `types`. Raises AddressRefused, WebhookEndpointNotFound, VersionConflict."""
    if "url" in changes:
        _check(system, changes["url"])
    return webhook_endpoints.edit(system.engine, origin, endpoint_id, changes, expected_version=expected_version)


def rotate(system: System, origin: Origin, endpoint_id: UUID) -> Issued:
    """For a day both secrets sign. Raises WebhookEndpointNotFound."""
    secret = new_secret()
    endpoint, replayed = webhook_secrets.rotate(
        system.engine, origin, endpoint_id, lambda id_: system.seal.close(purpose(id_), secret)
    )
    return Issued(endpoint, None if replayed else secret)


def redeliver_one(system: System, origin: Origin, endpoint_id: UUID, event: EventId) -> Redelivery:
    """Raises WebhookEndpointNotFound, WebhookDeliveryNotFound."""
    patience = system.config.settings.webhook_patience
    return webhook_redelivery.redeliver_one(
        system.engine, origin, endpoint_id, event, give_up_after=patience.give_up_after
    )


def _check(system: System, url: str) -> None:
    outgoing.check(url, Policy.from_settings(system.config.settings))
