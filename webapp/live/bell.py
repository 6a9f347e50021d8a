"""Bells: what wakes the live thread of a process, rung by its own threads and by the processes beside it.

Those beside it must not ring for every commit of every bill. So each process hangs out, in memory that all of them
share, which bills somebody watches there, and is rung for those alone. Processes on other machines aren't rung: they
look by themselves.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

# Bills whose ids end alike share a mark: a bell too many does no harm.
MARKS = 4_096


class Bell:
    """Waits to be read when it was rung. Rung by whoever likes, as often as they like."""

    def __init__(self) -> None:
        self._heard, self._rung = os.pipe()
        for end in (self._heard, self._rung):
            os.set_blocking(end, False)

    def fileno(self) -> int:
        return self._heard

    def ring(self) -> None:
        with suppress(OSError):  # it rings already
            os.write(self._rung, b"!")

    def hush(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self._heard, 4_096)) == 4_096:
                pass

    def close(self) -> None:
        os.close(self._heard)
        os.close(self._rung)


class Neighbours:
    """Made before the processes fork. Each takes a `place` among so many."""

    def __init__(self, places: int) -> None:
        self._bells = [Bell() for _ in range(places)]
        self._marks = mmap.mmap(-1, places * MARKS)

    def __len__(self) -> int:
        return len(self._bells)

    def bell(self, place: int) -> Bell:
        return self._bells[place]

    def hang_out(self, place: int, bill_ids: Collection[UUID]) -> None:
        """What is watched at this place, from now on."""
        marks = bytearray(MARKS)
        for bill_id in bill_ids:
            marks[_mark(bill_id)] = 1
        self._marks[place * MARKS : (place + 1) * MARKS] = bytes(marks)

    def ring(self, bill_id: UUID) -> None:
        mark = _mark(bill_id)
        for place, bell in enumerate(self._bells):
            if self._marks[place * MARKS + mark]:
                bell.ring()


def _mark(bill_id: UUID) -> int:
    return bill_id.int % MARKS
