"""What happened to a bill as people read it: its own events, and between them those of the links it was shared by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, select

from billing.ledger.database import snapshot
from billing.ledger.events import Event, event_of
from billing.ledger.tables.links import ShareLinkRow
from billing.ledger.tables.log import EventRow
from billing.origin import Actor

MOST_OF_LINKS = 50

_EVENTS = EventRow.__table__


@dataclass(frozen=True, slots=True)
class Timeline:
    """Newest first. `older`: the bill's version before which to go on, if there is more."""

    events: Sequence[Event]
    older: int | None


def read(engine: Engine, bill_id: UUID, *, before_version: int, limit: int) -> Timeline:
    """At most `limit` of the bill's own events, with those of its links that lie between them."""
    of_bill = _EVENTS.c.subject_id == bill_id
    with snapshot(engine) as connection:
        own = _read(connection, (of_bill, _EVENTS.c.version < before_version), limit + 1)
        after = _read(connection, (of_bill, _EVENTS.c.version == before_version), 1)
        events, more = own[:limit], len(own) > limit
        since = events[-1].occurred_at if more else None
        of_links = _of_links(connection, bill_id, since, after[0].occurred_at if after else None)
    merged = sorted((*events, *of_links), key=lambda event: event.occurred_at, reverse=True)
    return Timeline(merged, events[-1].version if more else None)


def _of_links(connection: Connection, bill_id: UUID, since: datetime | None, until: datetime | None) -> list[Event]:
    links = select(ShareLinkRow.id).where(ShareLinkRow.bill_id == bill_id)
    wanted: list[ColumnElement[bool]] = [_EVENTS.c.subject_id.in_(links)]
    if since is not None:
        wanted.append(_EVENTS.c.occurred_at > since)
    if until is not None:
        wanted.append(_EVENTS.c.occurred_at <= until)
    return _read(connection, wanted, MOST_OF_LINKS)


def _read(connection: Connection, wanted: Collection[ColumnElement[bool]], limit: int) -> list[Event]:
    query = select(_EVENTS).where(*wanted).order_by(_EVENTS.c.version.desc()).limit(limit)
    return [event_of(row) for row in connection.execute(query)]


def authors(engine: Engine, bill_id: UUID, versions: Collection[int]) -> Mapping[int, Actor]:
    """Who made these versions of a bill."""
    if not versions:
        return {}
    with snapshot(engine) as connection:
        found = _read(connection, (_EVENTS.c.subject_id == bill_id, _EVENTS.c.version.in_(versions)), len(versions))
    return {event.version: event.actor for event in found}
