"""Whether an export of the event log is what was sealed, by the export and the heads of seals: no database is asked.

A head is a seal with the hash of its entries in place of them, 300 bytes for up to 1,000 events.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, text

from billing.clock import rfc3339
from billing.ledger.database import snapshot
from billing.ledger.events import LogPosition
from billing.ledger.seals import GENESIS, Seal, digest, entries_in, follows, seal_of
from billing.ledger.verification import Flaw, Kind, Known, Verdict

AT_ONCE = 1_000


def heads(engine: Engine) -> Iterator[str]:
    """A line of JSON for each seal there is."""
    number = 0
    while True:
        with snapshot(engine) as connection:
            page = connection.execute(_HEADS, {"number": number, "limit": AT_ONCE}).all()
        for row in page:
            yield _head(seal_of(row), bytes(row.entries_hash)) + "\n"
        if len(page) < AT_ONCE:
            return
        number = page[-1].number


_HEADS = text(
    """
    SELECT number, series, after_xid, after_seq, last_xid, last_seq, count, sealed_at, previous, hash,
           sha256(entries) AS entries_hash
    FROM audit_seals WHERE number > :number ORDER BY number LIMIT :limit
    """
)


def _head(seal: Seal, entries_hash: bytes) -> str:
    return json.dumps(
        {
            "number": seal.number,
            "series": seal.series,
            "after": [seal.after.xid, seal.after.seq],
            "last": [seal.last.xid, seal.last.seq],
            "count": seal.count,
            "sealed_at": rfc3339(seal.sealed_at),
            "entries": entries_hash.hex(),
            "previous": seal.previous.hex(),
            "hash": seal.hash.hex(),
        }
    )


def verify(entries: Iterable[bytes], lines: Iterable[str], known: Known | None = None) -> Verdict:
    """`entries` are those that the exported events have (`seals.packed_entry`), in any order, `lines` the heads.

    What is in the log was sealed anew when it was brought into another order: of series that have ended the chain is
    looked at alone. Raises ValueError for a line that isn't a head.
    """
    chain = [_read(line) for line in lines]
    log = _Log(entries, chain[-1][0].series if chain else 1)
    upto, flaw = GENESIS, None
    for (before, _), (seal, entries_hash) in pairwise([(GENESIS, b""), *chain]):
        flaw = _flaw(seal, entries_hash, before, log, known)
        if flaw is not None:
            break
        upto = seal
    if flaw is None and known is not None and known.number > upto.number:
        flaw = Flaw(Kind.CUT_OFF, known.number)
    return Verdict(upto, log.passed, flaw, log.left)


class _Log:
    """The exported events in the order of the log, taken one seal after the other."""

    def __init__(self, entries: Iterable[bytes], series: int):
        self._entries: Sequence[bytes] = sorted(entries, key=_place)
        self._series = series
        self.passed = 0

    @property
    def left(self) -> int:
        return len(self._entries) - self.passed

    def has(self, seal: Seal, entries_hash: bytes) -> bool:
        if seal.series != self._series:
            return True
        end = bisect_right(self._entries, (seal.last.xid, seal.last.seq), lo=self.passed, key=_place)
        taken = self._entries[self.passed : end]
        if len(taken) != seal.count or hashlib.sha256(b"".join(taken)).digest() != entries_hash:
            return False
        self.passed = end
        return True


def _place(packed: bytes) -> tuple[int, int]:
    (entry,) = entries_in(packed)
    return entry.xid, entry.seq


def _flaw(seal: Seal, entries_hash: bytes, before: Seal, log: _Log, known: Known | None) -> Flaw | None:
    if seal.number != before.number + 1:
        return Flaw(Kind.SEAL_MISSING, before.number + 1)
    if seal.hash != digest(seal, entries_hash) or not follows(seal, before):
        return Flaw(Kind.SEAL_CHANGED, seal.number)
    if known and known.number == seal.number and known.hash != seal.hash:
        return Flaw(Kind.OTHER_SEAL, seal.number)
    return None if log.has(seal, entries_hash) else Flaw(Kind.OTHER_EVENTS, seal.number)


def _read(line: str) -> tuple[Seal, bytes]:
    try:
        head: dict[str, Any] = json.loads(line)
        seal = Seal(
            int(head["number"]),
            int(head["series"]),
            LogPosition(*map(int, head["after"])),
            LogPosition(*map(int, head["last"])),
            int(head["count"]),
            datetime.fromisoformat(head["sealed_at"]),
            bytes.fromhex(head["previous"]),
            bytes.fromhex(head["hash"]),
        )
        return seal, bytes.fromhex(head["entries"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("not the head of a seal") from error
