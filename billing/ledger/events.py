"""The event log: written with each change, read without missing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, insert, select, text

from billing.ledger.database import snapshot
from billing.ledger.tables.log import EventRow
from billing.origin import Actor, ActorKind, Origin

# Of a row of `events`, that another server wrote it, or somebody since: it isn't where its transaction put it.
COPIED = "xmin::text::bigint <> (xid::text::bigint & 4294967295)"


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a reader of the whole log stands. Sequence numbers commit out of order; (xid, seq) below the
    oldest running transaction does not."""

    xid: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One change: who, what, when, and the version of its subject that it made."""

    subject_type: str
    subject_id: UUID
    version: int
    type: str
    actor: Actor
    request_id: str
    data: Mapping[str, Any]
    occurred_at: datetime
    position: LogPosition


def append(
    connection: Connection,
    origin: Origin,
    type_: str,
    subject: tuple[str, UUID],
    version: int,
    occurred_at: datetime,
    data: Mapping[str, Any] | None = None,
) -> None:
    connection.execute(
        insert(EventRow).values(
            subject_type=subject[0],
            subject_id=subject[1],
            version=version,
            type=type_,
            actor_kind=origin.actor.kind,
            actor_id=origin.actor.id,
            actor_name=origin.actor.name,
            request_id=origin.request_id,
            occurred_at=occurred_at,
            data=dict(data or {}),
        )
    )


def of_subject(engine: Engine, subject_id: UUID, *, after_version: int, limit: int) -> Sequence[Event]:
    """A bill's (or customer's) events in the order of its versions."""
    query = (
        select(EventRow.__table__)
        .where(EventRow.subject_id == subject_id, EventRow.version > after_version)
        .order_by(EventRow.version)
        .limit(limit)
    )
    with snapshot(engine) as connection:
        return [event_of(row) for row in connection.execute(query)]


def latest_of_subject(engine: Engine, subject_id: UUID, *, before_version: int | None, limit: int) -> Sequence[Event]:
    """The newest events first."""
    query = select(EventRow.__table__).where(EventRow.subject_id == subject_id)
    if before_version is not None:
        query = query.where(EventRow.version < before_version)
    with snapshot(engine) as connection:
        rows = connection.execute(query.order_by(EventRow.version.desc()).limit(limit))
        return [event_of(row) for row in rows]


def request_ids(engine: Engine, versions: Mapping[UUID, int]) -> Mapping[UUID, str]:
    """In which request each of these subjects came to its version; of those whose event is there."""
    return _request_ids(engine, _OF_VERSIONS, {"ids": list(versions), "versions": list(versions.values())})


def wishes(engine: Engine, closed: Sequence[UUID]) -> Mapping[UUID, str]:
    """In which request it was asked to close each of these closed bills; of those that somebody asked for."""
    return _request_ids(engine, _WISHES, {"ids": list(closed)})


def _request_ids(engine: Engine, query: TextClause, parameters: Mapping[str, Any]) -> Mapping[UUID, str]:
    if not parameters["ids"]:
        return {}
    with snapshot(engine) as connection:
        return {row.subject_id: row.request_id for row in connection.execute(query, parameters)}


_OF_VERSIONS = text(
    """
    SELECT e.subject_id, e.request_id FROM events e
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS asked (id, version)
      ON e.subject_id = asked.id AND e.version = asked.version
    """
)
# Nothing happens to a bill between the wish and its closing.
_WISHES = text(
    """
    SELECT e.subject_id, e.request_id FROM bills b
    JOIN events e ON e.subject_id = b.id AND e.version = b.version - 1 AND e.type = 'bill.close_requested'
    WHERE b.id = ANY(:ids)
    """
)
_READ_LOG = text(
    """
    SELECT *, xid::text::bigint AS xid_number FROM events
    WHERE (xid, seq) > (CAST(CAST(:xid AS text) AS xid8), :seq) AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, seq LIMIT :limit
    """
)


def read_log(engine: Engine, after: LogPosition, *, limit: int) -> Sequence[Event]:
    """The next events of all subjects. Every event appears exactly once to a reader that goes on from the
    last position it got; an event whose transaction, or an older one, still runs appears later."""
    with snapshot(engine) as connection:
        return read_on(connection, after, limit=limit)


def read_on(connection: Connection, after: LogPosition, *, limit: int) -> Sequence[Event]:
    """`read_log`, for a reader that keeps its position in the same transaction as what it makes of the events."""
    rows = connection.execute(_READ_LOG, {"xid": str(after.xid), "seq": after.seq, "limit": limit})
    return [event_of(row) for row in rows]


def event_of(row: Any) -> Event:
    return Event(
        row.subject_type,
        row.subject_id,
        row.version,
        row.type,
        Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name),
        row.request_id,
        row.data,
        row.occurred_at,
        LogPosition(int(getattr(row, "xid_number", row.xid)), row.seq),
    )
