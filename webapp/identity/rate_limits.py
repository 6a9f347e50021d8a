"""How many requests an API key may make in a while: counted in memory, without asking anybody.

Windows follow each other by the clock, so that a caller knows when the next begins.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from billing.errors import ResourceExhausted
from billing.settings import SettingsInvalid
from webapp.identity.rate_counts import Counts

_SPELLED = re.compile(r"([0-9]{1,9})/([0-9]{1,5})s?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in each window of so many seconds."""

    requests: int
    window_s: int

    @classmethod
    def parse(cls, text: str) -> RateLimit | None:
        """`20000/10s`; None for `none`. Raises SettingsInvalid."""
        if text.lower() == "none":
            return None
        found = _SPELLED.fullmatch(text)
        if not found or not int(found[1]) or not int(found[2]):
            raise SettingsInvalid(f"API_RATE_LIMIT must be like 20000/10s (requests/seconds) or none, not {text!r}")
        return cls(int(found[1]), int(found[2]))


DEFAULT = RateLimit(20_000, 10)


class RateLimited(ResourceExhausted):
    """The API key has made all requests that it may make for now."""

    reason = "rate_limited"
    default_message = "too many requests with this API key"

    def __init__(self, standing: Standing):
        super().__init__()
        self.standing = standing
        self.retry_after_s = standing.reset_s


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a limit, and how many seconds it is until it is whole again."""

    limit: RateLimit
    remaining: int
    reset_s: int


class RateLimiter:
    """One a process, for all threads."""

    def __init__(self, limit: RateLimit | None, *, clock: Callable[[], float] = time.time):
        self._limit = limit
        self._clock = clock
        self._counts, self._row = Counts(), 0
        self._lock = threading.Lock()

    def count_beside(self, counts: Counts, row: int) -> None:
        """From now on together with the other processes of this server."""
        self._counts, self._row = counts, row

    def take(self, key_id: UUID) -> Standing | None:
        """Counts a request with this key; None when there is no limit. Raises RateLimited."""
        limit = self._limit
        if limit is None:
            return None
        now = self._clock()
        window = int(now // limit.window_s)
        # Ids of keys begin with the time they were made: their end tells them apart.
        key = (key_id.int & 0xFFFF_FFFF_FFFF_FFFF) or 1
        with self._lock:
            own = self._counts.add(self._row, key, window)
        if own is None:
            return Standing(limit, limit.requests, limit.window_s)
        left = limit.requests - own - self._counts.elsewhere(self._row, key, window)
        standing = Standing(limit, max(0, left), max(1, math.ceil((window + 1) * limit.window_s - now)))
        if left < 0:
            raise RateLimited(standing)
        return standing
