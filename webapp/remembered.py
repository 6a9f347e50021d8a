"""What every request needs and few change: read once a moment, not once a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """The answer of `read`, asked again when it is older than `for_s`."""

    def __init__(self, read: Callable[[], Value], *, for_s: float):
        self._read = read
        self._for_s = for_s
        # The value and when it was read: one tuple, so that a reader never sees halves of two.
        self._known: tuple[Value, float] | None = None
        self._reading = threading.Lock()

    def __call__(self) -> Value:
        """One thread asks again; meanwhile the others use what was known a moment ago."""
        known = self._known
        if known is not None and time.monotonic() - known[1] < self._for_s:
            return known[0]
        if not self._reading.acquire(blocking=known is None):
            assert known is not None
            return known[0]
        try:
            return self._renew()
        finally:
            self._reading.release()

    def renewed(self) -> Value:
        """As of now: for who has just changed it, or looks at nothing else."""
        with self._reading:
            return self._renew()

    def _renew(self) -> Value:
        value = self._read()
        self._known = (value, time.monotonic())
        return value
