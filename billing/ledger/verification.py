"""Whether the event log is what was sealed: seal by seal from the first, a batch of events at a time.

Who can write to the database can make a chain anew from any seal on, or cut its end off. A seal that was noted
elsewhere shows both: nothing up to it can be changed and keep its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, text

from billing.ledger.database import snapshot
from billing.ledger.events import LogPosition
from billing.ledger.seals import ENTRY, GENESIS, Entry, Seal, entries_in, follows, is_whole, seal_of, without_xids


class Kind(StrEnum):
    """What is wrong: with an event, with a seal, or with the seal that is known."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    SEAL_CHANGED = "seal_changed"
    SEAL_MISSING = "seal_missing"
    OTHER_SEAL = "other_seal"
    CUT_OFF = "cut_off"


_SENTENCES = {
    Kind.CHANGED: "was changed after it was sealed",
    Kind.MISSING: "is missing",
    Kind.INSERTED: "was put in where everything is sealed",
    Kind.SEAL_CHANGED: "was changed",
    Kind.SEAL_MISSING: "is missing",
    Kind.OTHER_SEAL: "isn't the one that is known: the log was sealed anew since",
    Kind.CUT_OFF: "is known and missing: the log's end was cut off, or a backup from before was restored",
}


@dataclass(frozen=True, slots=True)
class Known:
    """A seal that was noted elsewhere."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first thing that isn't as it was sealed. `entry` is the event as it was sealed, or as it was put in."""

    kind: Kind
    seal: int
    entry: Entry | None = None

    @property
    def sentence(self) -> str:
        if self.entry is None:
            return f"seal {self.seal} {_SENTENCES[self.kind]}"
        event = f"event {self.entry.subject_id} version {self.entry.version} (seq {self.entry.seq})"
        return f"{event} {_SENTENCES[self.kind]}; it is in the range of seal {self.seal}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`upto` is the last seal that holds, GENESIS where none does; `events` are those that hold. `unsealed` were
    written since the last seal. `restored_at`: when epochs of the ledger began."""

    upto: Seal
    events: int
    flaw: Flaw | None
    unsealed: int
    restored_at: Sequence[datetime]


# More rows of one seal's range aren't read: they would only fill the memory.
MOST_PUT_IN = 100_000
Heed = Callable[[Seal], None]


def verify(engine: Engine, known: Known | None = None, *, heed: Heed = lambda _: None) -> Verdict:
    """Ends at the first flaw. `heed` is told of each seal that holds."""
    with snapshot(engine) as connection:
        series: int = connection.execute(_SERIES).scalar_one()
    upto, events, flaw = GENESIS, 0, None
    while flaw is None:
        with snapshot(engine) as connection:
            row = connection.execute(_NEXT, {"number": upto.number}).one_or_none()
            if row is None:
                break
            seal = seal_of(row)
            flaw = _flaw_of_seal(seal, row.count, upto, known) or _flaw_of_events(connection, seal, series)
        if flaw is None:
            upto = seal
            events += seal.count if seal.series == series else 0
            heed(seal)
    if flaw is None and known is not None and known.number > upto.number:
        flaw = Flaw(Kind.CUT_OFF, known.number)
    with snapshot(engine) as connection:
        unsealed: int = connection.execute(_UNSEALED).scalar_one()
        return Verdict(upto, events, flaw, unsealed, connection.execute(_RESTORED).scalars().all())


_SERIES = text("SELECT coalesce(max(series), 1) FROM audit_seals")
_NEXT = text("SELECT * FROM audit_seals WHERE number > :number ORDER BY number LIMIT 1")
_RESTORED = text("SELECT began_at FROM ledger_epochs ORDER BY epoch")
_UNSEALED = text(
    """
    SELECT count(*) FROM events WHERE (xid, seq) > (
        SELECT coalesce(max(last_xid), 0)::text::xid8, coalesce(max(last_seq), 0)
        FROM (SELECT last_xid, last_seq FROM audit_seals ORDER BY number DESC LIMIT 1) AS last
    )
    """
)


def _flaw_of_seal(seal: Seal, count: int, before: Seal, known: Known | None) -> Flaw | None:
    if seal.number != before.number + 1:
        return Flaw(Kind.SEAL_MISSING, before.number + 1)
    if not is_whole(seal, count) or not follows(seal, before):
        return Flaw(Kind.SEAL_CHANGED, seal.number)
    if known and known.number == seal.number and known.hash != seal.hash:
        return Flaw(Kind.OTHER_SEAL, seal.number)
    return None


def _flaw_of_events(connection: Connection, seal: Seal, series: int) -> Flaw | None:
    if seal.series == series:
        packed = connection.execute(_WITHIN, _range(seal)).scalar_one() or b""
        # What PostgreSQL makes of a million rows is compared as it is, and taken apart only where it differs.
        return None if packed == seal.entries else _first_flaw(connection, seal, entries_in(packed))
    # Of a series that has ended: the same events are in the log, in another order and with other transaction ids.
    sealed = without_xids(entries_in(seal.entries))
    stored = {entry.subject: entry for entry in without_xids(_by_subject(connection, sealed))}
    for entry in sealed:
        if stored.get(entry.subject) != entry:
            kind = Kind.CHANGED if entry.subject in stored else Kind.MISSING
            return Flaw(kind, seal.number, entry)
    return None


def _first_flaw(connection: Connection, seal: Seal, stored: Sequence[Entry]) -> Flaw:
    """In the order of the log."""
    sealed = entries_in(seal.entries)
    place = next((n for n, (a, b) in enumerate(zip(sealed, stored, strict=False)) if a != b), None)
    place = min(len(sealed), len(stored)) if place is None else place
    wanted = sealed[place] if place < len(sealed) else None
    found = stored[place] if place < len(stored) else None
    if found and (wanted is None or (found.position <= wanted.position and not _is_among(found, stored, sealed))):
        return Flaw(Kind.INSERTED, seal.number, found)
    assert wanted is not None  # packed, they differ
    is_there = _is_among(wanted, sealed, stored) or _by_subject(connection, [wanted])
    return Flaw(Kind.CHANGED if is_there else Kind.MISSING, seal.number, wanted)


def _is_among(entry: Entry, its_own: Sequence[Entry], others: Sequence[Entry]) -> bool:
    """Under its subject and version; or under its number, where that is another's who isn't here under theirs."""
    subjects, here = {other.subject for other in others}, {own.subject for own in its_own}
    return entry.subject in subjects or any(other.seq == entry.seq and other.subject not in here for other in others)


_WITHIN = text(
    f"""
    SELECT string_agg(entry, ''::bytea ORDER BY xid, seq) FROM (
        SELECT xid, seq, {ENTRY} AS entry FROM events
        WHERE (xid, seq) > (CAST(CAST(:after_xid AS text) AS xid8), :after_seq)
          AND (xid, seq) <= (CAST(CAST(:last_xid AS text) AS xid8), :last_seq)
        ORDER BY xid, seq LIMIT :most
    ) AS within
    """  # noqa: S608  constants
)
_BY_SUBJECT = text(
    f"""
    SELECT string_agg(entry, ''::bytea) FROM (
        SELECT {ENTRY} AS entry FROM events
        JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS wanted (wanted_id, wanted_version)
          ON subject_id = wanted_id AND version = wanted_version
    ) AS found
    """  # noqa: S608  constants
)


def _range(seal: Seal) -> dict[str, Any]:
    return {**_named("after", seal.after), **_named("last", seal.last), "most": seal.count + MOST_PUT_IN}


def _named(name: str, position: LogPosition) -> dict[str, Any]:
    return {f"{name}_xid": str(position.xid), f"{name}_seq": position.seq}


def _by_subject(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    wanted = {"ids": [entry.subject_id for entry in entries], "versions": [entry.version for entry in entries]}
    return entries_in(connection.execute(_BY_SUBJECT, wanted).scalar_one() or b"")
