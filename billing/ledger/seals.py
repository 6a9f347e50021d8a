"""What a seal says: which events, in which order, with what in them, and which seal came before.

Every event has an entry of 72 bytes: subject, version, sequence number, transaction id, and the SHA-256 of everything
in its row but the transaction id (which is the server's: adopting a log changes it). PostgreSQL makes the entries, of
text that depends on no session's settings; anybody can make them again from an export.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from billing.clock import rfc3339
from billing.ledger.events import LogPosition
from billing.origin import ascii_json

# In this order. A column more is another FORMAT, and another expression beside this one.
CONTENT = (
    "subject_id::text", "version::text", "subject_type", "type", "actor_kind", "actor_id", "actor_name", "request_id",
    "data::text", "extract(epoch FROM occurred_at)::text", "seq::text",
)  # fmt: skip
FORMAT = "pave-audit-1"
# As a column of rows of `events`. A list of JSON strings can be taken apart in one way only.
ENTRY = f"""
    uuid_send(subject_id) || int8send(version) || int8send(seq) || int8send(xid::text::bigint)
    || sha256(convert_to(json_build_array({", ".join(CONTENT)})::text, 'UTF8'))
"""
_PACKED = Struct(">16sqqq32s")


class Entry(NamedTuple):
    """What is sealed of one event."""

    subject_id: UUID
    version: int
    seq: int
    xid: int
    content: bytes

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.xid, self.seq)

    @property
    def subject(self) -> tuple[UUID, int]:
        return self.subject_id, self.version


def entries_in(packed: bytes) -> list[Entry]:
    return [Entry(UUID(bytes=subject), *rest) for subject, *rest in _PACKED.iter_unpack(packed)]


def without_xids(entries: Sequence[Entry]) -> list[Entry]:
    """What is the same on any server."""
    return [entry._replace(xid=0) for entry in entries]


@dataclass(frozen=True, slots=True)
class Seal:
    """Of the events after a position of the log, up to and with `last`. `previous` is the hash of the seal before."""

    number: int
    series: int
    after: LogPosition
    last: LogPosition
    entries: bytes
    sealed_at: datetime
    previous: bytes
    hash: bytes

    @property
    def count(self) -> int:
        return len(self.entries) // _PACKED.size

    @property
    def name(self) -> str:
        """What is kept elsewhere to know it again: `42:9f3c...`."""
        return f"{self.number}:{self.hash.hex()}"


# Before the first.
GENESIS = Seal(0, 1, LogPosition(), LogPosition(), b"", datetime.min.replace(tzinfo=UTC), bytes(32), bytes(32))


def next_seal(before: Seal, entries: bytes, sealed_at: datetime) -> Seal:
    """Over what follows the seal before."""
    return _sealed(before, before.series, before.last, entries, sealed_at)


def series_seal(before: Seal, sealed_at: datetime) -> Seal:
    """Over nothing: the log is in another order from here on, and sealed anew from its beginning."""
    return _sealed(before, before.series + 1, LogPosition(), b"", sealed_at)


def _sealed(before: Seal, series: int, after: LogPosition, entries: bytes, sealed_at: datetime) -> Seal:
    last = entries_in(entries[-_PACKED.size :])[0].position if entries else after
    number = before.number + 1
    digest = _digest(number, series, after, last, entries, sealed_at, before.hash)
    return Seal(number, series, after, last, entries, sealed_at, before.hash, digest)


def seal_of(row: Any) -> Seal:
    after, last = LogPosition(row.after_xid, row.after_seq), LogPosition(row.last_xid, row.last_seq)
    return Seal(row.number, row.series, after, last, row.entries, row.sealed_at, row.previous, row.hash)


def is_whole(seal: Seal, count: int) -> bool:
    """Whether it says of itself what it is; `count` is what its row says."""
    if len(seal.entries) != count * _PACKED.size:
        return False
    said = seal.number, seal.series, seal.after, seal.last, seal.entries, seal.sealed_at, seal.previous
    last = entries_in(seal.entries)[-1].position if seal.entries else seal.after
    return seal.hash == _digest(*said) and seal.last == last


def follows(seal: Seal, before: Seal) -> bool:
    """Whether it is the next one of the chain."""
    if seal.series == before.series:
        begins_there = seal.after == before.last
    else:
        begins_there = (
            seal.series == before.series + 1 and seal.after == seal.last == LogPosition() and before.number > 0
        )
    return begins_there and seal.number == before.number + 1 and seal.previous == before.hash


def _digest(
    number: int,
    series: int,
    after: LogPosition,
    last: LogPosition,
    entries: bytes,
    sealed_at: datetime,
    previous: bytes,
) -> bytes:
    numbers = number, series, after.xid, after.seq, last.xid, last.seq, len(entries) // _PACKED.size
    texts = (FORMAT, *map(str, numbers), rfc3339(sealed_at), hashlib.sha256(entries).hexdigest(), previous.hex())
    return hashlib.sha256(ascii_json(texts).encode()).digest()
