"""New secrets for webhook endpoints."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Engine

from billing.ledger import idempotency, webhook_endpoints
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.origin import Origin, fingerprint
from billing.webhooks import BOTH_SECRETS_FOR


def rotate(
    engine: Engine, origin: Origin, endpoint_id: UUID, sealed_secret: Callable[[UUID], str]
) -> tuple[WebhookEndpoint, bool]:
    """A new secret; the one before signs beside it for a day. Whether a repeat found that done already."""
    print_ = fingerprint()
    with transaction(engine) as connection:
        row = webhook_endpoints.locked(connection, endpoint_id)
        operation = "rotate_webhook_secret"
        if idempotency.recall(connection, origin, operation, print_, scope_id=endpoint_id):
            return webhook_endpoints.endpoint_of(row), True
        until = now(connection) + BOTH_SECRETS_FOR
        rotated = webhook_endpoints.write(
            connection,
            origin,
            row,
            "webhook_endpoint.secret_rotated",
            secret=sealed_secret(endpoint_id),
            previous_secret=row.secret,
            previous_secret_until=until,
        )
        idempotency.remember(connection, origin, operation, print_, endpoint_id, scope_id=endpoint_id)
        return rotated, False
