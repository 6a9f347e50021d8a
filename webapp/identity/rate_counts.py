"""Counts of requests, in memory that the web processes of a machine share.

Each process writes a row of its own, for which it needs no lock of the others, and then reads all of them: on one
machine no key gets more than its limit, and where several processes count its last requests at the same moment, all of
these may be refused. Machines don't see each other's counts: a key has its limit on each.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

# Keys in one window; where so many are used that one finds no room, it isn't limited.
KEYS = 2_048
# Where in a row a key is looked for.
PLACES = 8
# The key, the window, how many: each a machine word, so that none is ever read half written.
_COUNT = struct.Struct("@QQQ")


class Counts:
    """Rows of counts, one a process. Made before the processes fork."""

    def __init__(self, rows: int = 1) -> None:
        self._rows = rows
        self._memory = mmap.mmap(-1, rows * KEYS * _COUNT.size)

    def __len__(self) -> int:
        return self._rows

    def add(self, row: int, key: int, window: int) -> int | None:
        """Counts one in this row, and how many are in it now; None when there is no room.

        One thread of one process at a time.
        """
        room = None
        for offset in _places(row, key):
            held, its_window, count = _COUNT.unpack_from(self._memory, offset)
            if held == key:
                count = count + 1 if its_window == window else 1
                _COUNT.pack_into(self._memory, offset, key, window, count)
                return count
            if room is None and its_window < window:
                room = offset
            if not held:
                break
        if room is None:
            return None
        _COUNT.pack_into(self._memory, room, key, window, 1)
        return 1

    def elsewhere(self, row: int, key: int, window: int) -> int:
        """How many the other rows have."""
        return sum(self._count(other, key, window) for other in range(self._rows) if other != row)

    def _count(self, row: int, key: int, window: int) -> int:
        for offset in _places(row, key):
            held, its_window, count = _COUNT.unpack_from(self._memory, offset)
            if held == key:
                return int(count) if its_window == window else 0
            if not held:  # nothing was ever put beyond
                return 0
        return 0


def _places(row: int, key: int) -> Iterator[int]:
    first = row * KEYS
    return ((first + (key + place) % KEYS) * _COUNT.size for place in range(PLACES))
