"""What a seal says: which events, in which order, with what in them, and which seal came before.

Every event has an entry of 72 bytes: subject, version, sequence number, transaction id, and the SHA-256 of everything
in its row but the transaction id (which is the server's: adopting a log changes it). PostgreSQL makes the entries, of
text that depends on no session's settings; anybody can make them again from an export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from billing.clock import rfc3339
from billing.ledger.events import Event, LogPosition
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
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


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


def packed_entry(event: Event, data: str) -> bytes:
    """What PostgreSQL makes of the event's row; `data` is its stored text."""
    microseconds = (event.occurred_at - _1970) // timedelta(microseconds=1)
    sign, since = "-" if microseconds < 0 else "", abs(microseconds)
    content = [
        str(event.subject_id), str(event.version), event.subject_type, event.type, event.actor.kind, event.actor.id,
        event.actor.name, event.request_id, data, f"{sign}{since // 10**6}.{since % 10**6:06}", str(event.position.seq),
    ]  # fmt: skip
    hash_ = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).digest()
    return _PACKED.pack(event.subject_id.bytes, event.version, event.position.seq, event.position.xid, hash_)


def without_xids(entries: Sequence[Entry]) -> list[Entry]:
    """What is the same on any server."""
    return [entry._replace(xid=0) for entry in entries]


@dataclass(frozen=True, slots=True)
class Seal:
    """Of the events after a position of the log, up to and with `last`. `previous` is the hash of the seal before.

    `entries` are all `count` of them packed, or none where nobody needs them.
    """

    number: int
    series: int
    after: LogPosition
    last: LogPosition
    count: int
    sealed_at: datetime
    previous: bytes
    hash: bytes
    entries: bytes = b""

    @property
    def name(self) -> str:
        """What is kept elsewhere to know it again: `42:9f3c...`."""
        return f"{self.number}:{self.hash.hex()}"


# Before the first.
GENESIS = Seal(0, 1, LogPosition(), LogPosition(), 0, datetime.min.replace(tzinfo=UTC), bytes(32), bytes(32))


def next_seal(before: Seal, entries: bytes, sealed_at: datetime) -> Seal:
    """Over what follows the seal before."""
    last = entries_in(entries[-_PACKED.size :])[0].position
    return _sealed(before, before.series, before.last, last, entries, sealed_at)


def series_seal(before: Seal, sealed_at: datetime) -> Seal:
    """Over nothing: the log is in another order from here on, and sealed anew from its beginning."""
    return _sealed(before, before.series + 1, LogPosition(), LogPosition(), b"", sealed_at)


def _sealed(
    before: Seal, series: int, after: LogPosition, last: LogPosition, entries: bytes, sealed_at: datetime
) -> Seal:
    count = len(entries) // _PACKED.size
    made = Seal(before.number + 1, series, after, last, count, sealed_at, before.hash, b"", entries)
    return replace(made, hash=_digest_of(made))


def seal_of(row: Any) -> Seal:
    """With its entries, if they were read."""
    return Seal(
        row.number,
        row.series,
        LogPosition(row.after_xid, row.after_seq),
        LogPosition(row.last_xid, row.last_seq),
        row.count,
        row.sealed_at,
        row.previous,
        row.hash,
        getattr(row, "entries", b""),
    )


def is_whole(seal: Seal) -> bool:
    """Whether it says of itself what it is."""
    if len(seal.entries) != seal.count * _PACKED.size:
        return False
    last = entries_in(seal.entries[-_PACKED.size :])[0].position if seal.entries else seal.after
    return seal.last == last and seal.hash == _digest_of(seal)


def follows(seal: Seal, before: Seal) -> bool:
    """Whether it is the next one of the chain."""
    if seal.series == before.series:
        begins_there = seal.after == before.last
    else:
        is_next = seal.series == before.series + 1 and before.number > 0
        begins_there = is_next and seal.after == seal.last == LogPosition()
    return begins_there and seal.number == before.number + 1 and seal.previous == before.hash


def _digest_of(seal: Seal) -> bytes:
    return digest(seal, hashlib.sha256(seal.entries).digest())


def digest(seal: Seal, entries_hash: bytes) -> bytes:
    """The hash that the seal is to have; `entries_hash` is that of its entries."""
    positions = seal.after.xid, seal.after.seq, seal.last.xid, seal.last.seq
    numbers = map(str, (seal.number, seal.series, *positions, seal.count))
    texts = FORMAT, *numbers, rfc3339(seal.sealed_at), entries_hash.hex(), seal.previous.hex()
    return hashlib.sha256(ascii_json(texts).encode()).digest()
