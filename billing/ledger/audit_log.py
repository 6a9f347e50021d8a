"""The whole event log as administrators read it: newest first, by what they look for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Select, Text, cast, func, literal_column, select, text, tuple_

from billing.errors import NotFound
from billing.ledger.database import single_statement, snapshot
from billing.ledger.events import Event, event_of
from billing.ledger.tables.log import RARE, EventRow

_EVENTS = EventRow.__table__
BATCH = 500


class EventNotFound(NotFound):
    """There is no such event."""

    reason = "event_not_found"
    default_message = "event not found"


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events: of one subject, of one type, by whoever had this name, from an instant to before another."""

    subject_id: UUID | None = None
    type: str | None = None
    actor: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the event's number and when it happened; of one subject, the event's version alone."""

    number: int
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """`data` is the event's as it is stored, to the character."""

    event: Event
    data: str


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """`data` as it is stored, indented; `seal` is the one in whose range it is, None where it isn't in any yet."""

    event: Event
    data: str
    seal: int | None


def place_of(event: Event, wanted: LogFilter) -> Place:
    if wanted.subject_id is not None:
        return Place(event.version)
    return Place(event.position.seq, event.occurred_at)


def events(engine: Engine, wanted: LogFilter, *, limit: int, after: Place | None = None) -> list[LoggedEvent]:
    """A page of the log; `after` is the place where the page before ended."""
    with single_statement(engine) as connection:
        return [_logged(row) for row in connection.execute(page_query(wanted, after, limit=limit))]


def page_query(wanted: LogFilter, after: Place | None, *, limit: int) -> Select[Any]:
    """Each filter has an index in the order of the page; two of them are looked up by one."""
    query = select(_EVENTS, cast(_EVENTS.c.data, Text).label("data_text")).limit(limit)
    if wanted.type is not None:
        query = query.where(_EVENTS.c.type == wanted.type)
    if wanted.type not in {None, "line_items.added"}:
        # To the letter, else a plan for any type can't use the index.
        query = query.where(literal_column(RARE))
    if wanted.actor is not None:
        query = query.where(_EVENTS.c.actor_name == wanted.actor)
    if wanted.since is not None:
        query = query.where(_EVENTS.c.occurred_at >= wanted.since)
    if wanted.before is not None:
        query = query.where(_EVENTS.c.occurred_at < wanted.before)
    return _ordered(query, wanted, after)


def _ordered(query: Select[Any], wanted: LogFilter, after: Place | None) -> Select[Any]:
    if wanted.subject_id is not None:
        query = query.where(_EVENTS.c.subject_id == wanted.subject_id)
        if after is not None:
            query = query.where(_EVENTS.c.version < after.number)
        return query.order_by(_EVENTS.c.version.desc())
    if after is not None:
        place = tuple_(after.occurred_at, after.number)
        query = query.where(tuple_(_EVENTS.c.occurred_at, _EVENTS.c.seq) < place)
    return query.order_by(_EVENTS.c.occurred_at.desc(), _EVENTS.c.seq.desc())


def in_batches(engine: Engine, wanted: LogFilter) -> Iterator[list[LoggedEvent]]:
    """All that was stored when it begins, newest first; no connection is held between two batches."""
    after = None
    while batch := events(engine, wanted, limit=BATCH, after=after):
        yield batch
        if len(batch) < BATCH:
            return
        after = place_of(batch[-1].event, wanted)


def event(engine: Engine, subject_id: UUID, version: int) -> SealedEvent:
    """Raises EventNotFound."""
    wanted = _EVENTS.c.subject_id == subject_id, _EVENTS.c.version == version
    with snapshot(engine) as connection:
        row = connection.execute(select(_EVENTS, func.jsonb_pretty(_EVENTS.c.data).label("data_text")).where(*wanted))
        found = row.one_or_none()
        if found is None:
            raise EventNotFound
        logged = _logged(found)
        position = {"xid": logged.event.position.xid, "seq": logged.event.position.seq}
        return SealedEvent(logged.event, logged.data, connection.execute(_SEAL_OF, position).scalar_one_or_none())


# Series after series, each in the order of the log.
_SEAL_OF = text(
    """
    SELECT number FROM audit_seals
    WHERE series = (SELECT max(series) FROM audit_seals) AND (last_xid, last_seq) >= (:xid, :seq)
    ORDER BY last_xid, last_seq LIMIT 1
    """
)


def actors(engine: Engine, *, limit: int) -> Sequence[str]:
    """Names of those who did anything, in the order of the alphabet: from one to the next by index."""
    with single_statement(engine) as connection:
        return connection.execute(_ACTORS, {"limit": limit}).scalars().all()


_ACTORS = text(
    """
    WITH RECURSIVE names AS (
        (SELECT actor_name FROM events ORDER BY actor_name LIMIT 1)
        UNION ALL
        SELECT (SELECT e.actor_name FROM events e WHERE e.actor_name > names.actor_name ORDER BY e.actor_name LIMIT 1)
        FROM names WHERE names.actor_name IS NOT NULL
    )
    SELECT actor_name FROM names WHERE actor_name IS NOT NULL LIMIT :limit
    """
)


def _logged(row: Any) -> LoggedEvent:
    return LoggedEvent(event_of(row), row.data_text)
