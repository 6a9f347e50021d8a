"""Share links: under which a customer sees one bill, until they are revoked.

The rows hold no secret: an address is made of the link's id and a code that only the web's key can compute.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, func, insert, select, update

from billing.errors import LinkNotFound, TooManyLinks
from billing.identifiers import new_id
from billing.ledger import events, idempotency
from billing.ledger.clock import keep_to_bill, now
from billing.ledger.database import rows, snapshot, transaction
from billing.ledger.events import Event
from billing.ledger.reads import read_bill
from billing.ledger.rows import Row
from billing.ledger.tables.links import ShareLinkRow
from billing.ledger.tables.log import EventRow
from billing.origin import Origin, fingerprint

MOST_LINKS = 50
_LINKS, _EVENTS = ShareLinkRow.__table__, EventRow.__table__
_CREATED, _REVOKED = 1, 2


@dataclass(frozen=True, slots=True)
class ShareLink:
    id: UUID
    bill_id: UUID
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link and who made it, for staff."""

    link: ShareLink
    created_by: str


def create(engine: Engine, origin: Origin, bill_id: UUID) -> tuple[ShareLink, bool]:
    """A new link to a bill, whatever its state; and whether this is a replay. Raises BillNotFound, TooManyLinks."""
    print_ = fingerprint(str(bill_id))
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "create_link")
        known = idempotency.recall(connection, origin, "create_link", print_, scope_id=bill_id)
        if known:
            made = select(_LINKS).where(_LINKS.c.bill_id == bill_id, _LINKS.c.id == known)
            return _link_of(connection.execute(made).one()), True
        keep_to_bill(connection, bill_id)
        read_bill(connection, bill_id)
        _refuse_too_many(connection, bill_id)
        instant = now(connection)
        row = connection.execute(
            insert(ShareLinkRow).values(id=new_id(), bill_id=bill_id, created_at=instant).returning(_LINKS)
        ).one()
        _tell(connection, origin, "link.created", _link_of(row), _CREATED, instant)
        idempotency.remember(connection, origin, "create_link", print_, row.id, scope_id=bill_id)
        return _link_of(row), False


def _refuse_too_many(connection: Connection, bill_id: UUID) -> None:
    live = select(func.count()).where(_LINKS.c.bill_id == bill_id, _LINKS.c.revoked_at.is_(None))
    if connection.execute(live).scalar_one() >= MOST_LINKS:
        raise TooManyLinks


def revoke(engine: Engine, origin: Origin, bill_id: UUID, link_id: UUID) -> ShareLink:
    """From now on the link leads nowhere, for good. Said again, it changes nothing. Raises LinkNotFound."""
    with transaction(engine) as connection:
        keep_to_bill(connection, bill_id)
        # By the bill's id too, which is what rows of bills are split or distributed by.
        this = (_LINKS.c.bill_id == bill_id, _LINKS.c.id == link_id)
        row = connection.execute(select(_LINKS).where(*this).with_for_update()).one_or_none()
        if row is None:
            raise LinkNotFound
        if row.revoked_at is not None:
            return _link_of(row)
        instant = now(connection)
        changed = update(ShareLinkRow).where(*this).values(revoked_at=instant).returning(_LINKS)
        link = _link_of(connection.execute(changed).one())
        _tell(connection, origin, "link.revoked", link, _REVOKED, instant)
        return link


def live(engine: Engine, link_id: UUID) -> ShareLink:
    """Raises LinkNotFound for one that is unknown or revoked, which nobody can tell apart."""
    found = rows(engine, _LIVE, (link_id,))
    if not found:
        raise LinkNotFound
    return _link_of(found[0])


def those_live(engine: Engine, link_ids: Collection[UUID]) -> set[UUID]:
    """Which of these still work."""
    return {row.id for row in rows(engine, _THOSE_LIVE, (list(link_ids),))}


_THOSE_LIVE = "SELECT id FROM share_links WHERE id = ANY(%s) AND revoked_at IS NULL"
_LIVE = "SELECT id, bill_id, created_at, revoked_at FROM share_links WHERE id = %s AND revoked_at IS NULL"


def of_bill(engine: Engine, bill_id: UUID) -> Sequence[ListedLink]:
    """Those that work first, each kind newest first; of the revoked ones the latest only."""
    # Not a join: events of a link lie with the link's id, wherever those of its bill are.
    query = (
        select(_LINKS)
        .where(_LINKS.c.bill_id == bill_id)
        .order_by(_LINKS.c.revoked_at.is_not(None), _LINKS.c.id.desc())
        .limit(2 * MOST_LINKS)
    )
    with snapshot(engine) as connection:
        found = [_link_of(row) for row in connection.execute(query)]
        made = select(_EVENTS.c.subject_id, _EVENTS.c.actor_name).where(
            _EVENTS.c.subject_id.in_([link.id for link in found]), _EVENTS.c.version == _CREATED
        )
        makers = {row.subject_id: row.actor_name for row in connection.execute(made)}
    return [ListedLink(link, makers[link.id]) for link in found]


def last_event(engine: Engine, link_id: UUID) -> Event:
    """How the link came to be as it is."""
    return events.latest_of_subject(engine, link_id, before_version=None, limit=1)[0]


def _tell(
    connection: Connection, origin: Origin, event: str, link: ShareLink, version: int, occurred_at: datetime
) -> None:
    data = {"bill_id": str(link.bill_id)}
    events.append(connection, origin, event, ("link", link.id), version, occurred_at, data)


def _link_of(row: Row) -> ShareLink:
    return ShareLink(row.id, row.bill_id, row.created_at, row.revoked_at)
