"""Sealing the event log, seconds behind it: no change waits for its seal, and none is in its transaction.

Only events that no late commit can come before are sealed. A process that dies leaves its batch to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert, text

from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.events import COPIED, LogPosition
from billing.ledger.seals import ENTRY, GENESIS, Seal, next_seal, seal_of, series_seal
from billing.ledger.tables.audit import SealRow

BATCH = 1_000
# Counted no further where people look.
MANY = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the log is sealed. `last` is None until anything is; `waiting` counts what isn't yet, up to MANY, and
    the first of it happened so long ago."""

    last: Seal | None
    waiting: int
    waited: timedelta | None


def seal(engine: Engine, *, limit: int = BATCH) -> Seal | None:
    """Seals the next events, if there are any and no other process is at it.

    None either while the log is one that came in a dump and waits to be adopted: what happens here stands among what is
    sealed until then.
    """
    with transaction(engine) as connection:
        if not connection.execute(_LOCK_IF_FREE).scalar_one():
            return None
        # Statements of their own, so that they see what the holder before has committed.
        if is_copied(connection):
            return None
        before = _last(connection)
        entries = connection.execute(_NEXT, {**_after(before.last), "limit": limit}).scalar_one()
        if entries is None:
            return None
        made = next_seal(before, bytes(entries), now(connection))
        _store(connection, made)
        return made


def begin_anew(connection: Connection) -> None:
    """In the transaction that brings the log into another order: what was sealed so far is a series that has ended."""
    connection.execute(_LOCK)
    before = _last(connection)
    if before.number:
        _store(connection, series_seal(before, now(connection)))


def is_copied(connection: Connection) -> bool:
    """Whether the log came from another server in a dump, whose transaction ids it has, and wasn't adopted since.

    Seen by its last sealed event, which isn't where its transaction wrote it; nor is one that somebody touched.
    """
    return bool(connection.execute(_IS_COPIED).scalar_one())


def last(engine: Engine) -> Seal | None:
    with snapshot(engine) as connection:
        found = _last(connection)
    return found if found.number else None


def standing(engine: Engine) -> Standing:
    with snapshot(engine) as connection:
        found = _last(connection)
        row = connection.execute(_WAITING, {**_after(found.last), "limit": MANY}).one()
    return Standing(found if found.number else None, row.waiting, row.waited)


_KEY = 20261123
_LOCK = text(f"SELECT pg_advisory_xact_lock({_KEY})")
_LOCK_IF_FREE = text(f"SELECT pg_try_advisory_xact_lock({_KEY})")
_LAST = text(
    """
    SELECT number, series, after_xid, after_seq, last_xid, last_seq, count, sealed_at, previous, hash
    FROM audit_seals ORDER BY number DESC LIMIT 1
    """
)
# Those that are adopted have the id 3, which no transaction has.
_IS_COPIED = text(
    f"""
    SELECT EXISTS (
        SELECT FROM events WHERE (xid, seq) = (
            SELECT last_xid::text::xid8, last_seq FROM audit_seals ORDER BY number DESC LIMIT 1
        ) AND xid > '3' AND {COPIED}
    )
    """  # noqa: S608  constants
)
_AFTER = "(xid, seq) > (CAST(CAST(:xid AS text) AS xid8), :seq)"
_NEXT = text(
    f"""
    SELECT string_agg(entry, ''::bytea ORDER BY xid, seq) FROM (
        SELECT xid, seq, {ENTRY} AS entry FROM events
        WHERE {_AFTER} AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, seq LIMIT :limit
    ) AS next
    """  # noqa: S608  constants
)
_WAITING = text(
    f"""
    SELECT count(*) AS waiting, (SELECT billing_now()) - min(occurred_at) AS waited
    FROM (SELECT occurred_at FROM events WHERE {_AFTER} ORDER BY xid, seq LIMIT :limit) AS waiting
    """  # noqa: S608  constants
)


def _last(connection: Connection) -> Seal:
    row = connection.execute(_LAST).one_or_none()
    return seal_of(row) if row else GENESIS


def _after(position: LogPosition) -> Mapping[str, Any]:
    return {"xid": str(position.xid), "seq": position.seq}


def _store(connection: Connection, made: Seal) -> None:
    connection.execute(
        insert(SealRow).values(
            number=made.number,
            series=made.series,
            after_xid=made.after.xid,
            after_seq=made.after.seq,
            last_xid=made.last.xid,
            last_seq=made.last.seq,
            count=made.count,
            sealed_at=made.sealed_at,
            previous=made.previous,
            hash=made.hash,
            entries=made.entries,
        )
    )
