"""Who has a long answer sent, and few of them: each holds a thread of the web process for as long as it lasts."""

from __future__ import annotations

import threading
from collections import Counter

from billing.errors import ResourceExhausted

# Of 32 threads and 40 connections that a process has unless told otherwise.
MOST = 3
A_CALLER = 2


class TooManyExports(ResourceExhausted):
    """Others' exports are being sent, or this caller's own."""

    reason = "too_many_exports"
    default_message = "too many exports are running just now"
    retry_after_s = 15


class Places:
    """A process's own. A caller never has all of them."""

    def __init__(
        self, most: int = MOST, a_caller: int = A_CALLER, refusal: type[ResourceExhausted] = TooManyExports
    ) -> None:
        self._most = most
        self._a_caller = a_caller
        self._refusal = refusal
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, caller: str) -> Place:
        """Raises TooManyExports, or what else it was made to refuse with, at once."""
        with self._lock:
            if self._taken.total() >= self._most or self._taken[caller] >= self._a_caller:
                raise self._refusal
            self._taken[caller] += 1
        return Place(self, caller)

    def give_back(self, caller: str) -> None:
        with self._lock:
            self._taken[caller] -= 1
            self._taken += Counter()  # forgets who has none any more


class Place:
    """Until it is released; once more does nothing, as an answer may end in two ways at once."""

    def __init__(self, places: Places, caller: str) -> None:
        self._places = places
        self._caller = caller
        self._lock = threading.Lock()
        self._is_held = True

    def release(self) -> None:
        with self._lock:
            was_held, self._is_held = self._is_held, False
        if was_held:
            self._places.give_back(self._caller)


PLACES = Places()
