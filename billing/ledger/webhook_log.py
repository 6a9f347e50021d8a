"""What was sent to a webhook endpoint and how that went, for those who look; and sending it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from billing.errors import InvalidArgument, NotFound
from billing.ledger import idempotency, webhook_endpoints
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.public_events import event_id
from billing.ledger.rows import Row
from billing.origin import Origin, fingerprint

KEPT = "30 days"
PRUNED_AT_ONCE = 5_000
NEWEST_ATTEMPTS = 30
STATES = ("pending", "delivered", "failed")


class WebhookDeliveryNotFound(NotFound):
    """The endpoint was sent no such event, or so long ago that nothing is kept of it."""

    reason = "webhook_delivery_not_found"
    default_message = "webhook delivery not found"


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One attempt: `status` of the answer, or the `error` that kept it from coming whole."""

    attempt: int
    attempted_at: datetime
    status: int | None
    latency_ms: int
    excerpt: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """`made` are the newest attempts, newest first; `next_attempt_at` counts while it is pending."""

    n: int
    event_id: str
    type: str
    occurred_at: datetime
    status: str
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None
    made: Sequence[AttemptMade] = field(default=())


def deliveries(
    engine: Engine, endpoint_id: UUID, *, status: str | None = None, before: int | None = None, limit: int
) -> Sequence[Delivery]:
    """The last queued first. Raises WebhookEndpointNotFound."""
    webhook_endpoints.by_id(engine, endpoint_id)
    with snapshot(engine) as connection:
        asked = {"id": endpoint_id, "status": status, "before": before or 2**63 - 1, "limit": limit}
        rows = connection.execute(_DELIVERIES, asked).all()
        of_these = {"id": endpoint_id, "ns": [row.n for row in rows], "newest": NEWEST_ATTEMPTS}
        found = connection.execute(_ATTEMPTS, of_these)
        made: dict[int, list[AttemptMade]] = {}
        for row in found:
            one = AttemptMade(row.attempt, row.attempted_at, row.status, row.latency_ms, row.excerpt, row.error)
            made.setdefault(row.delivery, []).append(one)
    return [_delivery_of(row, made.get(row.n, ())) for row in rows]


def pending(engine: Engine, endpoint_id: UUID) -> int:
    """How many are queued and not sent."""
    with snapshot(engine) as connection:
        counted: int = connection.execute(_PENDING, {"id": endpoint_id}).scalar_one()
        return counted


_PENDING = text("SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = :id AND status = 'pending'")
_DELIVERIES = text(
    """
    SELECT * FROM webhook_deliveries
    WHERE endpoint_id = :id AND n < :before AND (CAST(:status AS text) IS NULL OR status = :status)
    ORDER BY n DESC LIMIT :limit
    """
)
_ATTEMPTS = text(
    """
    SELECT a.* FROM unnest(CAST(:ns AS bigint[])) AS d(n)
    CROSS JOIN LATERAL (
        SELECT * FROM webhook_attempts w WHERE w.endpoint_id = :id AND w.delivery = d.n
        ORDER BY w.attempt DESC LIMIT :newest
    ) AS a
    """
)


def redeliver(
    engine: Engine,
    origin: Origin,
    endpoint_id: UUID,
    *,
    event: tuple[UUID, int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    only_failed: bool = False,
    give_up_after: timedelta,
) -> int:
    """Queues anew one event (its subject and version), or those that occurred in [since, until); how many they are.

    Raises WebhookEndpointNotFound, WebhookDeliveryNotFound for one event of which nothing is kept.
    """
    if (event is None) == (since is None):
        raise InvalidArgument("either event_id or since is needed", reason="required", field="event_id")
    subject, version = event or (None, None)
    instants = [instant.isoformat() if instant else None for instant in (since, until)]
    print_ = fingerprint(str(event), *instants, str(only_failed))
    with transaction(engine) as connection:
        row = webhook_endpoints.locked(connection, endpoint_id)
        operation = "redeliver_webhooks"
        if idempotency.recall(connection, origin, operation, print_, scope_id=endpoint_id):
            return 0
        asked = {
            "id": endpoint_id,
            "subject": subject,
            "version": version,
            "since": since,
            "until": until,
            "only_failed": only_failed,
            "give_up_after": give_up_after,
            "now": now(connection),
        }
        queued = connection.execute(_REDELIVER, asked).rowcount
        if event is not None and not queued:
            raise WebhookDeliveryNotFound
        if queued:
            webhook_endpoints.told(connection, origin, row, "webhook_endpoint.redelivered", {"events": queued})
        idempotency.remember(connection, origin, operation, print_, endpoint_id, scope_id=endpoint_id)
        return queued


_REDELIVER = text(
    """
    UPDATE webhook_deliveries
    SET status = 'pending', tries = 0, finished_at = NULL, next_attempt_at = :now,
        give_up_at = CAST(:now AS timestamptz) + :give_up_after
    WHERE endpoint_id = :id
      AND (CAST(:subject AS uuid) IS NULL OR (subject_id = :subject AND version = :version))
      AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)
      AND (NOT :only_failed OR status = 'failed')
    """
)


def prune(engine: Engine) -> int:
    """Forgets what was settled a month ago, some at a time; how many they were."""
    with transaction(engine) as connection:
        return connection.execute(_PRUNE, {"kept": KEPT, "limit": PRUNED_AT_ONCE}).rowcount


_PRUNE = text(
    """
    DELETE FROM webhook_deliveries WHERE (endpoint_id, n) IN (
        SELECT endpoint_id, n FROM webhook_deliveries
        WHERE status <> 'pending' AND finished_at < billing_now() - CAST(:kept AS interval)
        ORDER BY finished_at LIMIT :limit)
    """
)


def _delivery_of(row: Row, made: Sequence[AttemptMade]) -> Delivery:
    return Delivery(
        row.n,
        event_id(row.subject_id, row.version),
        row.type,
        row.occurred_at,
        row.status,
        row.attempts,
        row.queued_at,
        row.next_attempt_at if row.status == "pending" else None,
        row.finished_at,
        made,
    )
