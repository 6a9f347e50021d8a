"""Events on their way to webhook endpoints: queued from the log, due in the order of their bill, repeated, given up.

The log itself is the backlog: only so much of it is queued as can soon be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from billing.ledger import epochs, feed, webhook_endpoints
from billing.ledger.database import snapshot, transaction
from billing.ledger.events import Event, LogPosition, event_of
from billing.ledger.public_events import PUBLIC, event_id
from billing.ledger.webhook_endpoints import FAILING
from billing.origin import Origin
from billing.webhooks import Patience

BATCH = 500
LOOKED_THROUGH = 2_000
# Queued and not sent: those that wait for an earlier one of their bill keep so many of the others from nothing.
MOST_PENDING = 20_000
BILLS_AT_ONCE = 100
OF_A_BILL_AT_ONCE = 20


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


def fill(engine: Engine, endpoint_id: UUID, *, give_up_after: timedelta) -> bool:
    """Queues what comes next in the log; whether there is more that there is room for. The place in the log moves on
    in the same transaction: nothing is left out, and nothing queued twice, whoever dies."""
    with transaction(engine) as connection:
        row = connection.execute(_LOCK, {"id": endpoint_id}).one_or_none()
        if row is None or row.status != "active":
            return False
        room = MOST_PENDING - connection.execute(_PENDING, {"id": endpoint_id, "most": MOST_PENDING}).scalar_one()
        if room <= 0:
            return False
        types = row.types or list(PUBLIC)
        after = LogPosition(row.place_xid, row.seq)
        found, reached, has_more = feed.read(connection, after, types, limit=min(BATCH, room), scan=LOOKED_THROUGH)
        if found:
            connection.execute(_QUEUE, {**_columns(found), "id": endpoint_id, "give_up_after": give_up_after})
        if reached != after:
            place = {"xid": str(reached.xid), "seq": reached.seq}
            connection.execute(_MOVE, {**place, "id": endpoint_id})
        return has_more


def _columns(found: Iterable[Event]) -> dict[str, list[Any]]:
    events = list(found)
    return {
        "subjects": [event.subject_id for event in events],
        "versions": [event.version for event in events],
        "types": [event.type for event in events],
        "instants": [event.occurred_at for event in events],
    }


_LOCK = text("SELECT *, xid::text::bigint AS place_xid FROM webhook_endpoints WHERE id = :id FOR UPDATE")
_PENDING = text(
    """
    SELECT count(*) FROM (
        SELECT FROM webhook_deliveries WHERE endpoint_id = :id AND status = 'pending' LIMIT :most
    ) AS pending
    """
)
# A place that a restore set back may come by events that are queued: those are told apart by what they are of.
_QUEUE = text(
    """
    INSERT INTO webhook_deliveries (endpoint_id, subject_id, version, type, occurred_at, queued_at, next_attempt_at,
                                    give_up_at)
    SELECT :id, e.subject_id, e.version, e.type, e.occurred_at, i.now, i.now, i.now + :give_up_after
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:versions AS bigint[]), CAST(:types AS text[]),
                CAST(:instants AS timestamptz[]))
        WITH ORDINALITY AS e(subject_id, version, type, occurred_at, place),
        (SELECT billing_now() AS now) AS i
    ORDER BY e.place
    ON CONFLICT (endpoint_id, subject_id, version) DO NOTHING
    """
)
_MOVE = text("UPDATE webhook_endpoints SET xid = CAST(CAST(:xid AS text) AS xid8), seq = :seq WHERE id = :id")


def due(engine: Engine, endpoint_id: UUID) -> Sequence[Sequence[Due]]:
    """By bill (or customer, or whatever they are of), in order: each after the first waits for the one before it."""
    with snapshot(engine) as connection:
        limits = {"bills": BILLS_AT_ONCE, "each": OF_A_BILL_AT_ONCE}
        rows = connection.execute(_DUE, {"id": endpoint_id, **limits}).all()
        epoch = epochs.current_of(connection)
        bodies = feed.projections(connection, [event_of(row) for row in rows], epoch)
    chains: dict[UUID, list[Due]] = {}
    for row, body in zip(rows, bodies, strict=True):
        one = Due(row.n, row.tries, event_id(row.subject_id, row.version), row.subject_id, body)
        chains.setdefault(row.subject_id, []).append(one)
    return list(chains.values())


# Each pending row is read once. That none before it is pending would be asked of each, or of all with all, where
# statistics are of an hour in which hardly anything waited.
_HEADS = """
    SELECT DISTINCT ON (subject_id) subject_id, n, next_attempt_at FROM webhook_deliveries
    WHERE endpoint_id = :id AND status = 'pending' ORDER BY subject_id, n
"""
_DUE = text(
    f"""
    WITH heads AS (
        SELECT * FROM ({_HEADS}) AS h WHERE h.next_attempt_at <= (SELECT billing_now()) ORDER BY h.n LIMIT :bills
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


def settle(
    engine: Engine, origin: Origin, endpoint_id: UUID, patience: Patience, *, arrived: bool, failed: bool, rests: bool
) -> timedelta | None:
    """After a round, in which something arrived or something failed: until when the endpoint may be left alone; None
    while nothing is queued. `rests`: so much failed and so little arrived that all is left alone for a while.

    One at which nothing has arrived for long is paused.
    """
    with transaction(engine) as connection:
        row = connection.execute(_LOCK, {"id": endpoint_id}).one_or_none()
        if row is None or row.status != "active":
            return None
        instant: datetime = connection.execute(text("SELECT billing_now()")).scalar_one()
        since = None if arrived else row.failing_since or (instant if failed else None)
        if since is not None and failed and instant - since >= patience.pause_after:
            connection.execute(_KEEP, {"id": endpoint_id, "since": since, "rests_until": None, "due_at": None})
            webhook_endpoints.paused(connection, origin, row, FAILING)
            return None
        rests_until = instant + patience.rest(instant - since) if since and rests else None
        next_one: datetime | None = connection.execute(_NEXT, {"id": endpoint_id}).scalar_one()
        due_at = next_one and max(next_one, rests_until or next_one, instant)
        connection.execute(_KEEP, {"id": endpoint_id, "since": since, "rests_until": rests_until, "due_at": due_at})
        return due_at - instant if due_at else None


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
    """An endpoint whose workflow is to look: its log has grown beyond `place`, or it is overdue."""

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
               EXISTS (SELECT FROM events v
                       WHERE (v.xid, v.seq) > (e.xid, e.seq) AND v.xid < pg_snapshot_xmin(pg_current_snapshot())
                      ) AS has_grown
        FROM webhook_endpoints e WHERE e.status = 'active'
    ) AS known
    WHERE is_overdue OR has_grown
    """
)
