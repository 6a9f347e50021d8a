"""What was sent to a webhook endpoint and how that went, for those who look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, text

from billing.ledger import epochs, webhook_endpoints
from billing.ledger.database import snapshot, transaction
from billing.ledger.public_events import event_id
from billing.ledger.rows import Row

KEPT = "30 days"
PRUNED_AT_ONCE = 5_000
NEWEST_ATTEMPTS = 30
STATES = ("pending", "delivered", "failed")


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
    """How many are queued and not sent, and how many of bills that are behind wait to be queued."""
    with snapshot(engine) as connection:
        counted: int = connection.execute(_PENDING, {"id": endpoint_id}).scalar_one()
        return counted


_PENDING = text(
    """
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = :id AND status = 'pending')
         + (SELECT count(*) FROM webhook_backlogs b
            JOIN webhook_endpoints w ON w.id = b.endpoint_id
            JOIN events e ON e.subject_id = b.subject_id AND e.version >= b.from_version
                         AND (w.types IS NULL OR e.type = ANY(w.types))
            WHERE b.endpoint_id = :id)
    """
)
_DELIVERIES = text(
    f"""
    SELECT d.*, {epochs.OF_EVENT} AS epoch FROM (
        SELECT * FROM webhook_deliveries
        WHERE endpoint_id = :id AND n < :before AND (CAST(:status AS text) IS NULL OR status = :status)
        ORDER BY n DESC LIMIT :limit
    ) AS d
    LEFT JOIN events e ON e.subject_id = d.subject_id AND e.version = d.version
    ORDER BY d.n DESC
    """  # noqa: S608  constants
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
        event_id(row.subject_id, row.version, row.epoch),
        row.type,
        row.occurred_at,
        row.status,
        row.attempts,
        row.queued_at,
        row.next_attempt_at if row.status == "pending" else None,
        row.finished_at,
        made,
    )
