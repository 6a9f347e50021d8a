"""Counts of requests, in memory that the web processes of a machine share.

Each process writes a row of its own, for which it needs no lock of the others, and then reads all of them: on one
machine no key gets more than its limit, and where several processes count its last requests at the same moment, all of
these may be refused. Machines don't see each other's counts: a key has its limit on each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

# Keys in one window; where so many are used that one finds no room, it isn't limited.
KEYS = 2_048
# Where in a row a key is looked for.
PLACES = 8
# How many in the window, which window, whose. Machine words, each written at once: `struct` would clear all of them
# first, and another process find nobody there.
COUNT, WINDOW, KEY, WORDS = 0, 1, 2, 3
WORD = 8


class Counts:
    """Rows of counts, one a process. Made before the processes fork."""

    def __init__(self, rows: int = 1) -> None:
        self._rows = rows
        self._words = memoryview(mmap.mmap(-1, rows * KEYS * WORDS * WORD)).cast("Q")

    def __len__(self) -> int:
        return self._rows

    def add(self, row: int, key: int, window: int) -> int | None:
        """Counts one in this row, and how many are in it now; None when there is no room.

        One thread of one process at a time, under a lock: giving it back is what makes others see the count before
        theirs are read.
        """
        room = None
        for at in _places(row, key):
            held, its_window = self._words[at + KEY], self._words[at + WINDOW]
            if held == key:
                count = self._words[at + COUNT] + 1 if its_window == window else 1
                return self._write(at, key, window, count)
            if room is None and its_window < window:
                room = at
            if not held:
                break
        return None if room is None else self._write(room, key, window, 1)

    def elsewhere(self, row: int, key: int, window: int) -> int:
        """How many the other rows have."""
        return sum(self._count(other, key, window) for other in range(self._rows) if other != row)

    def _write(self, at: int, key: int, window: int, count: int) -> int:
        """Whoever reads in between finds the count of no key or of a window that is over."""
        self._words[at + COUNT] = count
        self._words[at + WINDOW] = window
        self._words[at + KEY] = key
        return count

    def _count(self, row: int, key: int, window: int) -> int:
        for at in _places(row, key):
            held = self._words[at + KEY]
            if held == key:
                return self._words[at + COUNT] if self._words[at + WINDOW] == window else 0
            if not held:  # nothing was ever put beyond
                return 0
        return 0


def _places(row: int, key: int) -> Iterator[int]:
    first = row * KEYS
    return ((first + (key + place) % KEYS) * WORDS for place in range(PLACES))
