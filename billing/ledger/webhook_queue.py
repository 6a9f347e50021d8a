"""Events on their way to webhook endpoints: due in the order of their bill, repeated, given up; and endpoints that are
paused. How they come to be queued is in `webhook_backlog`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.ledger import epochs, feed, webhook_endpoints
from billing.ledger.database import snapshot, transaction
from billing.ledger.events import LogPosition, event_of
from billing.ledger.webhook_endpoints import FAILING
from billing.origin import Origin
from billing.webhooks import Patience

# Of bills whose first event is new, and of those whose first has failed before.
BILLS_AT_ONCE = 50
OF_A_BILL_AT_ONCE = 20
# One event that fails says nothing of the endpoint: so many others must fail, too, before it is paused.
FEWEST_FAILING = 2


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint as it is to be sent to now. `sealed_secrets`: each of them signs."""

    endpoint_id: UUID
    url: str
    sealed_secrets: tuple[str, ...]
    is_active: bool
    rest: timedelta


@dataclass(frozen=True, slots=True)
class Due:
    """An event that is to be sent now, or after those of its bill before it."""

    n: int
    tries: int
    event_id: str
    subject_id: UUID
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """How sending went. `error`: why there was no whole answer."""

    is_delivered: bool
    status: int | None
    latency_ms: int
    excerpt: str
    error: str | None


def target(engine: Engine, endpoint_id: UUID) -> Target | None:
    """None for an endpoint that isn't there any more."""
    with snapshot(engine) as connection:
        row = connection.execute(_TARGET, {"id": endpoint_id}).one_or_none()
    if row is None:
        return None
    secrets = (row.secret, row.previous_secret) if row.both else (row.secret,)
    return Target(endpoint_id, row.url, secrets, row.status == "active", row.rest)


_TARGET = text(
    """
    SELECT url, secret, previous_secret, coalesce(previous_secret_until > billing_now(), false) AS both, status,
           greatest(coalesce(rests_until - billing_now(), interval '0'), interval '0') AS rest
    FROM webhook_endpoints WHERE id = :id
    """
)


def due(engine: Engine, endpoint_id: UUID) -> Sequence[Sequence[Due]]:
    """By bill (or customer, or whatever they are of), in order: each after the first waits for the one before it. Those
    whose first one failed before, and the others, are taken alike: neither keep the other from their turn."""
    with snapshot(engine) as connection:
        limits = {"bills": BILLS_AT_ONCE, "each": OF_A_BILL_AT_ONCE}
        rows = connection.execute(_DUE, {"id": endpoint_id, **limits}).all()
        epoch = epochs.current_of(connection)
        bodies = feed.projections(connection, [event_of(row) for row in rows], epoch)
    chains: dict[UUID, list[Due]] = {}
    for row, body in zip(rows, bodies, strict=True):
        one = Due(row.n, row.tries, str(body["id"]), row.subject_id, body)
        chains.setdefault(row.subject_id, []).append(one)
    return list(chains.values())


_LOCK = text("SELECT * FROM webhook_endpoints WHERE id = :id FOR UPDATE")
# Each pending row is read once. That none before it is pending would be asked of each, or of all with all, where
# statistics are of an hour in which hardly anything waited.
_HEADS = """
    SELECT DISTINCT ON (subject_id) subject_id, n, tries, next_attempt_at FROM webhook_deliveries
    WHERE endpoint_id = :id AND status = 'pending' ORDER BY subject_id, n
"""
_DUE = text(
    f"""
    WITH waiting AS (
        SELECT h.*, row_number() OVER (PARTITION BY h.tries > 0 ORDER BY h.n) AS turn
        FROM ({_HEADS}) AS h WHERE h.next_attempt_at <= (SELECT billing_now())
    ), heads AS (
        SELECT * FROM waiting WHERE turn <= :bills
    )
    SELECT q.n, q.tries, e.*, e.xid::text::bigint AS xid_number
    FROM heads h
    CROSS JOIN LATERAL (
        SELECT * FROM webhook_deliveries d
        WHERE d.endpoint_id = :id AND d.subject_id = h.subject_id AND d.status = 'pending' ORDER BY d.n LIMIT :each
    ) AS q
    JOIN events e ON e.subject_id = q.subject_id AND e.version = q.version
    ORDER BY q.n
    """  # noqa: S608  constants
)


def record(engine: Engine, endpoint_id: UUID, delivery: Due, attempt: Attempt, patience: Patience) -> None:
    """Keeps how sending went. What failed is due again later, or given up when its time is over; what somebody else
    has settled meanwhile stays as it is."""
    values = {
        "id": endpoint_id,
        "n": delivery.n,
        "delivered": attempt.is_delivered,
        "wait": patience.wait(delivery.tries + 1),
        "give_up_after": patience.give_up_after,
        "status": attempt.status,
        "latency_ms": attempt.latency_ms,
        "excerpt": attempt.excerpt[:1_024].replace("\0", ""),
        "error": attempt.error,
    }
    with transaction(engine) as connection:
        connection.execute(_RECORD, values)


# An event's time begins with its first attempt: it may have waited for days for one of its bill, or for a worker.
_RECORD = text(
    """
    WITH tried AS (
        UPDATE webhook_deliveries AS d
        SET attempts = attempts + 1, tries = tries + 1, give_up_at = its.give_up_at,
            status = CASE WHEN :delivered THEN 'delivered' WHEN its.now >= its.give_up_at THEN 'failed'
                          ELSE 'pending' END,
            finished_at = CASE WHEN :delivered OR its.now >= its.give_up_at THEN its.now END,
            next_attempt_at = least(its.now + :wait, greatest(its.give_up_at, its.now))
        FROM (
            SELECT n, billing_now() AS now,
                   CASE WHEN attempts = 0 THEN billing_now() + :give_up_after ELSE give_up_at END AS give_up_at
            FROM webhook_deliveries WHERE endpoint_id = :id AND n = :n FOR UPDATE
        ) AS its
        WHERE d.endpoint_id = :id AND d.n = its.n AND d.status = 'pending'
        RETURNING d.attempts
    )
    INSERT INTO webhook_attempts (endpoint_id, delivery, attempt, attempted_at, status, latency_ms, excerpt, error)
    SELECT :id, :n, attempts, billing_now(), CAST(:status AS smallint), :latency_ms, :excerpt, CAST(:error AS text)
    FROM tried
    """
)


def look_again(engine: Engine, endpoint_id: UUID, after: timedelta) -> None:
    """Says that the endpoint is being looked after, and when whoever does so is missed."""
    with transaction(engine) as connection:
        connection.execute(_LOOK_AGAIN, {"id": endpoint_id, "after": after})


_LOOK_AGAIN = text("UPDATE webhook_endpoints SET due_at = billing_now() + :after WHERE id = :id AND status = 'active'")


def let_go(engine: Engine, endpoint_id: UUID) -> None:
    """Of one that is paused or deleted: nobody looks after it any more."""
    with transaction(engine) as connection:
        connection.execute(_LET_GO, {"id": endpoint_id})


_LET_GO = text("UPDATE webhook_endpoints SET due_at = NULL WHERE id = :id AND status <> 'active'")


def settle(
    engine: Engine, origin: Origin, endpoint_id: UUID, patience: Patience, *, arrived: bool, failed: bool, rests: bool
) -> timedelta | None:
    """After a round, in which something arrived or something failed: until when the endpoint may be left alone; None
    while nothing is queued. `rests`: so much failed and so little arrived that all is left alone for a while.

    One at which nothing has arrived for long, of several events, is paused.
    """
    with transaction(engine) as connection:
        row = connection.execute(_LOCK, {"id": endpoint_id}).one_or_none()
        if row is None or row.status != "active":
            return None
        instant: datetime = connection.execute(text("SELECT billing_now()")).scalar_one()
        since = None if arrived else row.failing_since or (instant if failed else None)
        if since and failed and instant - since >= patience.pause_after and _many_fail(connection, endpoint_id, since):
            connection.execute(_KEEP, {"id": endpoint_id, "since": since, "rests_until": None, "due_at": None})
            webhook_endpoints.paused(connection, origin, row, FAILING, is_known=True)
            return None
        rests_until = instant + patience.rest(instant - since) if since and rests else None
        next_one: datetime | None = connection.execute(_NEXT, {"id": endpoint_id}).scalar_one()
        due_at = next_one and max(next_one, rests_until or next_one, instant)
        connection.execute(_KEEP, {"id": endpoint_id, "since": since, "rests_until": rests_until, "due_at": due_at})
        return due_at - instant if due_at else None


def _many_fail(connection: Connection, endpoint_id: UUID, since: datetime) -> bool:
    """Whether it is the endpoint that fails, as far as one can tell: a single event may be one that its receiver can't
    take, which is given up in its time."""
    asked = {"id": endpoint_id, "since": since, "fewest": FEWEST_FAILING}
    return bool(connection.execute(_FAILING, asked).scalar_one() >= FEWEST_FAILING)


_FAILING = text(
    """
    SELECT count(*) FROM (
        (SELECT FROM webhook_deliveries
         WHERE endpoint_id = :id AND status = 'pending' AND tries > 0 LIMIT :fewest)
        UNION ALL
        (SELECT FROM webhook_deliveries
         WHERE endpoint_id = :id AND status = 'failed' AND finished_at >= :since LIMIT :fewest)
    ) AS failing
    """
)
_NEXT = text(f"SELECT min(next_attempt_at) FROM ({_HEADS}) AS heads")  # noqa: S608  constants
_KEEP = text(
    """
    UPDATE webhook_endpoints
    SET failing_since = :since, rests_until = CAST(:rests_until AS timestamptz), due_at = CAST(:due_at AS timestamptz)
    WHERE id = :id
    """
)


@dataclass(frozen=True, slots=True)
class Unattended:
    """An endpoint whose workflow is to look: its log has grown beyond `place`, or it is overdue; or to end, since the
    endpoint was paused or deleted."""

    id: UUID
    place: LogPosition
    is_overdue: bool


def unattended(engine: Engine) -> Sequence[Unattended]:
    with snapshot(engine) as connection:
        rows = connection.execute(_UNATTENDED)
        return [Unattended(row.id, LogPosition(row.xid, row.seq), row.is_overdue) for row in rows]


# Whoever was at it has had the time that it asked for, and some more.
_UNATTENDED = text(
    """
    SELECT id, xid, seq, is_overdue FROM (
        SELECT e.id, e.xid::text::bigint AS xid, e.seq,
               coalesce(e.due_at < billing_now() - interval '2 seconds', false) AS is_overdue,
               e.status = 'active' AND EXISTS (SELECT FROM events v
                       WHERE (v.xid, v.seq) > (e.xid, e.seq) AND v.xid < pg_snapshot_xmin(pg_current_snapshot())
                      ) AS has_grown
        FROM webhook_endpoints e WHERE e.status = 'active' OR e.due_at IS NOT NULL
    ) AS known
    WHERE is_overdue OR has_grown
    """
)
