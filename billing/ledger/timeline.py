"""What happened to a bill as people read it: its own events, and between them those of the links it was shared by."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from billing.ledger import database
from billing.ledger.database import single_statement, snapshot
from billing.ledger.events import Event, event_of
from billing.ledger.tables.links import ShareLinkRow
from billing.ledger.tables.log import EventRow
from billing.origin import Actor, ActorKind

_EVENTS = EventRow.__table__


@dataclass(frozen=True, slots=True)
class Place:
    """Between two events: before this version of the bill, and after so many events of its links (None: all)."""

    version: int
    links: int | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Newest first. `older`: before where to go on, if there is more."""

    events: Sequence[Event]
    older: Place | None


def read(engine: Engine, bill_id: UUID, *, before: Place, limit: int) -> Timeline:
    """The newest `limit` of the bill's events and its links', by when they happened."""
    with snapshot(engine) as connection:
        own = _read(connection, (_EVENTS.c.subject_id == bill_id, _EVENTS.c.version < before.version), limit + 1)
        links = _links_count(connection, bill_id)
        links = links if before.links is None else min(links, before.links)
        skipped = max(0, links - limit - 1)
        of_links = _of_links(connection, bill_id, after=skipped, limit=links - skipped)
    both = merged(own, of_links)
    events = both[:limit]
    own_shown = sum(event.subject_id == bill_id for event in events)
    own_left = own[own_shown:]
    older = Place(own_left[0].version + 1 if own_left else 1, links - (len(events) - own_shown))
    return Timeline(events, older if len(both) > limit else None)


def merged(own: Iterable[Event], of_links: Iterable[Event]) -> list[Event]:
    """Each newest first, and so is what comes of them: each keeps its order, whatever its instants."""
    return list(heapq.merge(own, of_links, key=lambda event: event.occurred_at, reverse=True))


def links_count(engine: Engine, bill_id: UUID) -> int:
    """How many events the links of a bill have had."""
    with single_statement(engine) as connection:
        return _links_count(connection, bill_id)


def of_links(engine: Engine, bill_id: UUID, *, after: int, limit: int) -> Sequence[Event]:
    """Events of the bill's links, newest first, but for so many that were before."""
    with snapshot(engine) as connection:
        return _of_links(connection, bill_id, after=after, limit=limit)


def _links_count(connection: Connection, bill_id: UUID) -> int:
    """As `standings` counts them: a link is made once, and revoked once."""
    count = select(func.count() + func.count(ShareLinkRow.revoked_at)).where(ShareLinkRow.bill_id == bill_id)
    return int(connection.execute(count).scalar_one())


def _of_links(connection: Connection, bill_id: UUID, *, after: int, limit: int) -> list[Event]:
    links = select(ShareLinkRow.id).where(ShareLinkRow.bill_id == bill_id)
    query = (
        select(_EVENTS)
        .where(_EVENTS.c.subject_id.in_(links))
        .order_by(_EVENTS.c.occurred_at, _EVENTS.c.seq)
        .offset(after)
        .limit(limit)
    )
    return [event_of(row) for row in reversed(connection.execute(query).all())]


def _read(connection: Connection, wanted: Collection[ColumnElement[bool]], limit: int) -> list[Event]:
    query = select(_EVENTS).where(*wanted).order_by(_EVENTS.c.version.desc()).limit(limit)
    return [event_of(row) for row in connection.execute(query)]


def authors(engine: Engine, bill_id: UUID, versions: Collection[int]) -> Mapping[int, Actor]:
    """Who made these versions of a bill."""
    if not versions:
        return {}
    found = database.rows(engine, _AUTHORS, (bill_id, list(versions)))
    return {row.version: Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name) for row in found}


_AUTHORS = """
    SELECT version, actor_kind, actor_id, actor_name FROM events WHERE subject_id = %s AND version = ANY(%s)
"""
