"""Deleting webhook endpoints: from one moment to the next nobody sees them, and bit by bit they go, however much was
sent."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine, text

from billing.ledger import events, webhook_endpoints
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.webhook_endpoints import LONG_DUE, host_of
from billing.origin import Origin

AT_ONCE = 2_000


def remove(engine: Engine, origin: Origin, endpoint_id: UUID) -> None:
    """With all that was queued for it: nothing of that is sent any more. Raises WebhookEndpointNotFound."""
    with transaction(engine) as connection:
        row = webhook_endpoints.locked(connection, endpoint_id)
        instant = now(connection)
        # Whoever looks after overdue ones wakes its workflow, which ends.
        connection.execute(_REMOVE, {"id": endpoint_id, "due_at": instant - LONG_DUE})
        subject, data = ("webhook_endpoint", endpoint_id), {"host": host_of(row.url)}
        events.append(connection, origin, "webhook_endpoint.deleted", subject, row.version + 1, instant, data)


# Its secrets are of no use any more.
_REMOVE = text(
    """
    UPDATE webhook_endpoints
    SET status = 'deleted', paused_reason = NULL, paused_at = NULL, secret = '', previous_secret = NULL,
        previous_secret_until = NULL, failing_since = NULL, rests_until = NULL, due_at = :due_at, version = version + 1
    WHERE id = :id
    """
)


def clear(engine: Engine) -> bool:
    """Some of what is left of deleted endpoints; whether there may be more. The endpoint itself goes once its workflow
    has ended."""
    with transaction(engine) as connection:
        cleared = connection.execute(_CLEAR, {"limit": AT_ONCE}).rowcount
        if cleared == 0:
            connection.execute(_FORGET)
        return cleared > 0


# By several at once: each has rows of its own.
_CLEAR = text(
    """
    DELETE FROM webhook_deliveries d USING (
        SELECT w.endpoint_id, w.n FROM webhook_endpoints e
        CROSS JOIN LATERAL (
            SELECT endpoint_id, n FROM webhook_deliveries WHERE endpoint_id = e.id
            ORDER BY n LIMIT :limit FOR UPDATE SKIP LOCKED
        ) AS w
        WHERE e.status = 'deleted' LIMIT :limit
    ) AS next_ones
    WHERE d.endpoint_id = next_ones.endpoint_id AND d.n = next_ones.n
    """
)
_FORGET = text(
    """
    DELETE FROM webhook_endpoints e
    WHERE status = 'deleted' AND due_at IS NULL
      AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id)
    """
)
