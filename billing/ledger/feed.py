"""The event log as others read it: public events alone, page by page, from a position that none can slip under."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.errors import InvalidArgument
from billing.ledger import database, epochs, modes, public_events
from billing.ledger.database import snapshot
from billing.ledger.events import Event, LogPosition, event_of

BEGINNING = LogPosition()
# So many events are looked through for a page of some types: what lies further on is another page's.
LOOKED_THROUGH = 1_000
# Events that aren't public are few.
SPARE = 50
_PACKED = struct.Struct(">BIQQ")
_KIND = 1


@dataclass(frozen=True, slots=True)
class Page:
    """`events` as JSON has them; `reached`: the page after this one begins there, also where this one is empty."""

    events: Sequence[Mapping[str, Any]]
    epoch: int
    reached: LogPosition
    has_more: bool

    @property
    def next_after(self) -> str:
        return written(self.epoch, self.reached)


def written(epoch: int, position: LogPosition) -> str:
    """A position as others keep it."""
    packed = _PACKED.pack(_KIND, epoch, position.xid, position.seq)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse(position: str | None) -> tuple[int | None, LogPosition]:
    """The epoch and the place in the log; the log's beginning for None. Raises InvalidArgument."""
    if position is None:
        return None, BEGINNING
    try:
        packed = base64.b64decode(position + "=" * (-len(position) % 4), altchars=b"-_", validate=True)
        kind, epoch, xid, seq = _PACKED.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        raise _no_position() from None
    # Base64's last character has bits that decode to nothing: only our own spelling counts.
    if kind != _KIND or max(xid, seq) >= 2**63 or written(epoch, LogPosition(xid, seq)) != position:
        raise _no_position()
    return epoch, LogPosition(xid, seq)


def _no_position() -> InvalidArgument:
    return InvalidArgument("after is not a position of this feed", reason="invalid_position", field="after")


def parse_types(given: str | None) -> Collection[str]:
    """Public types, separated by commas; all of them for None. Raises InvalidArgument."""
    if given is None:
        return public_events.PUBLIC.keys()
    types = given.split(",")
    refuse_unknown_types(types, "type")
    return types


def refuse_unknown_types(types: Collection[str], field: str) -> None:
    """Raises InvalidArgument for one that isn't public."""
    unknown = [type_ for type_ in types if type_ not in public_events.PUBLIC]
    if unknown:
        raise InvalidArgument("unknown event type", reason="unknown_event_type", field=field)


def page(engine: Engine, epoch: int | None, after: LogPosition, types: Collection[str], *, limit: int) -> Page:
    """The next events of these types. Raises InvalidArgument for a position of a log that isn't there any more.

    An event whose transaction, or an older one, still runs is on a later page.
    """
    everything = len(set(types)) == len(public_events.PUBLIC)
    with snapshot(engine) as connection:
        now = connection.execute(_NOW).one()
        if (epoch is not None and epoch != now.epoch) or after.xid >= now.unborn:
            raise InvalidArgument(
                "the ledger was restored since this position was given: read from the beginning",
                reason="position_lost",
                field="after",
            )
        scan = limit + SPARE if everything else LOOKED_THROUGH
        found, reached, has_more = read(connection, after, types, limit=limit, scan=scan)
        return Page(projections(connection, found, now.epoch), now.epoch, reached, has_more)


def read(
    connection: Connection, after: LogPosition, types: Collection[str], *, limit: int, scan: int
) -> tuple[Sequence[Event], LogPosition, bool]:
    """The next `limit` events of these types among the next `scan` of all; where that ended; whether there are more."""
    asked = {"xid": str(after.xid), "seq": after.seq, "types": list(types), "limit": limit, "scan": scan}
    rows = connection.execute(_PAGE, asked).all()
    if not rows:
        return (), after, False
    wanted = [row for row in rows if row.is_wanted and row.nth <= limit]
    last = wanted[-1] if len(wanted) == limit else rows[-1]
    return [event_of(row) for row in wanted], event_of(last).position, last.n < last.looked_at or last.n == scan


def projections(connection: Connection, found: Sequence[Event], epoch: int) -> list[dict[str, Any]]:
    """Public events as JSON has them."""
    if not found:
        return []
    rows = connection.execute(_CUSTOMERS, {"ids": list({event.subject_id for event in found})})
    customers: dict[UUID, str] = {row.id: row.external_id for row in rows}
    known, test = epochs.known(connection), modes.is_test(connection)
    return [
        public_events.projected(
            event,
            customers.get(event.subject_id),
            written(epoch, event.position),
            epochs.written_in(known, event.position.seq),
            test=test,
        )
        for event in found
    ]


def head(engine: Engine) -> LogPosition:
    """Up to where the log can be read now. One round trip, for every process several times a second."""
    row = database.one_row(engine, _HEAD, ())
    return LogPosition(row.xid, row.seq) if row else BEGINNING


_NOW = text(
    """
    SELECT coalesce(max(epoch), 0) AS epoch, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS unborn
    FROM ledger_epochs
    """
)
_PAGE = text(
    """
    WITH looked_through AS (
        SELECT *, type = ANY(:types) AS is_wanted, row_number() OVER (ORDER BY xid, seq) AS n,
               count(*) OVER () AS looked_at
        FROM (
            SELECT * FROM events
            WHERE (xid, seq) > (CAST(CAST(:xid AS text) AS xid8), :seq)
              AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid, seq LIMIT :scan
        ) AS next_ones
    ), counted AS (
        SELECT *, count(*) FILTER (WHERE is_wanted) OVER (ORDER BY n) AS nth FROM looked_through
    )
    SELECT *, xid::text::bigint AS xid_number FROM counted WHERE (is_wanted AND nth <= :limit) OR n = looked_at
    ORDER BY n
    """
)
_HEAD = """
    SELECT xid::text::bigint AS xid, seq FROM events WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY events.xid DESC, seq DESC LIMIT 1
"""
# Neither a bill's customer nor their name for a customer ever changes.
_CUSTOMERS = text(
    """
    SELECT b.id, c.external_id FROM bills b JOIN customers c ON c.id = b.customer_id WHERE b.id = ANY(:ids)
    UNION ALL SELECT id, external_id FROM customers WHERE id = ANY(:ids)
    """
)
