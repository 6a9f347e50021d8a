"""Whether the event log is what was sealed: seal by seal from the first, a batch of events at a time.

Who can write to the database can make a chain anew from any seal on, or cut its end off. A seal that was noted
elsewhere shows both: nothing up to it can be changed and keep its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from sqlalchemy import Connection, Engine, text

from billing.ledger import sealing
from billing.ledger.database import snapshot
from billing.ledger.events import COPIED
from billing.ledger.seals import ENTRY, GENESIS, Entry, Seal, entries_in, follows, is_whole, seal_of, without_xids


class Kind(StrEnum):
    """What is wrong: with an event, with a seal, or with the seal that is known."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    SEAL_CHANGED = "seal_changed"
    SEAL_MISSING = "seal_missing"
    OTHER_SEAL = "other_seal"
    OTHER_EVENTS = "other_events"
    CUT_OFF = "cut_off"


_SENTENCES = {
    Kind.CHANGED: "was changed after it was sealed",
    Kind.MISSING: "is missing",
    Kind.INSERTED: "was put in where everything is sealed",
    Kind.SEAL_CHANGED: "was changed",
    Kind.SEAL_MISSING: "is missing",
    Kind.OTHER_SEAL: "isn't the one that is known: the log was sealed anew since",
    Kind.OTHER_EVENTS: "isn't over the events that were exported of its range: some differ, are missing or were put in",
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
    written since the last seal. `restored_at`: when epochs of the ledger began; `adopted_at`: when its log was brought
    into another order. `is_copied`: it came in a dump, and is still to be adopted."""

    upto: Seal
    events: int
    flaw: Flaw | None
    unsealed: int
    restored_at: Sequence[datetime] = ()
    adopted_at: Sequence[datetime] = ()
    is_copied: bool = False


# Seals that are looked at together: of a quiet log each has few events.
AT_ONCE = 50
# More rows than were sealed aren't read beyond this: they would only fill the memory.
MOST_PUT_IN = 100_000
Heed = Callable[[Seal], None]


def verify(engine: Engine, known: Known | None = None, *, heed: Heed = lambda _: None) -> Verdict:
    """Ends at the first flaw. `heed` is told of each seal that holds."""
    with snapshot(engine) as connection:
        newest = connection.execute(_NEWEST).one()
        looking = _Looking(connection, newest.series, newest.last_seq if sealing.is_copied(connection) else None)
    upto, events, flaw, adopted_at = GENESIS, 0, None, list[datetime]()
    while flaw is None:
        with snapshot(engine) as connection:
            found = [seal_of(row) for row in connection.execute(_NEXT, {"number": upto.number, "limit": AT_ONCE})]
            if not found:
                break
            chained, flaw_of_chain = _chained(found, upto, known)
            holding, flaw = _holding(replace(looking, connection=connection), chained)
        for seal in holding:
            adopted_at += [seal.sealed_at] if seal.series != upto.series else []
            events = seal.count + (events if seal.series == upto.series else 0)
            upto = seal
            heed(seal)
        flaw = flaw or flaw_of_chain
    if flaw is None and known is not None and known.number > upto.number:
        flaw = Flaw(Kind.CUT_OFF, known.number)
    with snapshot(engine) as connection:
        unsealed: int = connection.execute(_UNSEALED, {"written_here": looking.written_here}).scalar_one()
        restored_at = connection.execute(_RESTORED).scalars().all()
    return Verdict(upto, events, flaw, unsealed, restored_at, adopted_at, looking.written_here is not None)


@dataclass(frozen=True, slots=True)
class _Looking:
    """At the log through a connection. `series` is the newest one.

    Of a log that came in a dump, what was written on this server has higher numbers than `written_here`, but may have
    lower transaction ids than what came: it stands among what is sealed, and was never sealed itself. None where the
    log is this server's own.
    """

    connection: Connection
    series: int
    written_here: int | None


_NEWEST = text(
    """
    SELECT coalesce(max(series), 1) AS series,
           (SELECT last_seq FROM audit_seals ORDER BY number DESC LIMIT 1) AS last_seq
    FROM audit_seals
    """
)
# Somebody who puts a row in can make it look so only by writing it as whatever happens here is written.
_WRITTEN_HERE = f"(seq > CAST(:written_here AS bigint) AND NOT {COPIED})"
_NEXT = text("SELECT * FROM audit_seals WHERE number > :number ORDER BY number LIMIT :limit")
_RESTORED = text("SELECT began_at FROM ledger_epochs ORDER BY epoch")
_UNSEALED = text(
    f"""
    SELECT count(*) FROM events WHERE (xid, seq) > (
        SELECT coalesce(max(last_xid), 0)::text::xid8, coalesce(max(last_seq), 0)
        FROM (SELECT last_xid, last_seq FROM audit_seals ORDER BY number DESC LIMIT 1) AS last
    ) OR {_WRITTEN_HERE}
    """  # noqa: S608  constants
)


def _chained(seals: Sequence[Seal], before: Seal, known: Known | None) -> tuple[list[Seal], Flaw | None]:
    """Those that follow each other before the first that is wrong, and what is wrong with that."""
    chained: list[Seal] = []
    for seal in seals:
        flaw = _flaw_of_seal(seal, before, known)
        if flaw is not None:
            return chained, flaw
        chained.append(seal)
        before = seal
    return chained, None


def _flaw_of_seal(seal: Seal, before: Seal, known: Known | None) -> Flaw | None:
    if seal.number != before.number + 1:
        return Flaw(Kind.SEAL_MISSING, before.number + 1)
    if not is_whole(seal) or not follows(seal, before):
        return Flaw(Kind.SEAL_CHANGED, seal.number)
    if known and known.number == seal.number and known.hash != seal.hash:
        return Flaw(Kind.OTHER_SEAL, seal.number)
    return None


def _holding(looking: _Looking, seals: Sequence[Seal]) -> tuple[list[Seal], Flaw | None]:
    """Those whose events are as they were sealed before the first that isn't, and what is wrong with that."""
    holding: list[Seal] = []
    for number, group in groupby(seals, lambda seal: seal.series):
        together = list(group)
        if number == looking.series and _within(looking, together) == b"".join(seal.entries for seal in together):
            holding += together
            continue
        for seal in together:
            flaw = _flaw_of_events(looking, seal)
            if flaw is not None:
                return holding, flaw
            holding.append(seal)
    return holding, None


def _flaw_of_events(looking: _Looking, seal: Seal) -> Flaw | None:
    if seal.series == looking.series:
        packed = _within(looking, [seal])
        return None if packed == seal.entries else _first_flaw(looking.connection, seal, entries_in(packed))
    # Of a series that has ended: the same events are in the log, in another order and with other transaction ids.
    sealed = without_xids(entries_in(seal.entries))
    stored = {entry.subject: entry for entry in without_xids(_by_subject(looking.connection, sealed))}
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
    is_new = found and not _is_among(found, stored, sealed)
    if found and (wanted is None or (is_new and (found.xid, found.seq) <= (wanted.xid, wanted.seq))):
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
          AND {_WRITTEN_HERE} IS NOT TRUE
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


def _within(looking: _Looking, seals: Sequence[Seal]) -> bytes:
    """The entries that the events of these seals have now: compared as PostgreSQL packs them, and taken apart only
    where they differ."""
    after, last = seals[0].after, seals[-1].last
    wanted = {"after_xid": str(after.xid), "after_seq": after.seq, "last_xid": str(last.xid), "last_seq": last.seq}
    most = sum(seal.count for seal in seals) + MOST_PUT_IN
    wanted |= {"most": most, "written_here": looking.written_here}
    packed: bytes | None = looking.connection.execute(_WITHIN, wanted).scalar_one()
    return packed or b""


def _by_subject(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    wanted = {"ids": [entry.subject_id for entry in entries], "versions": [entry.version for entry in entries]}
    return entries_in(connection.execute(_BY_SUBJECT, wanted).scalar_one() or b"")
