"""When to look again: often while something changes, seldom while nothing does, and never for most of the time."""

from __future__ import annotations

import time

QUIET_S = 0.25
# What is committed on this machine rings; this is for what others commit.
BUSY_S = 0.05
STAYS_BUSY_S = 2.0
# Of one processor, and of what the machine sends: a burst is told in fewer, larger pieces.
LARGEST_SHARE = 0.25
MOST_BYTES_PER_S = 16 * 1024 * 1024


class Pace:
    """Kept by the live thread; others may `hurry` it."""

    def __init__(self) -> None:
        self._looked_s = self._changed_s = self._not_before_s = float("-inf")
        self._worked_s = 0.0
        self._hurried_s: float | None = None

    def hurry(self) -> None:
        """Something was committed that somebody watches."""
        self._hurried_s = time.monotonic()

    def seconds_left(self) -> float:
        now_s = time.monotonic()
        every_s = BUSY_S if now_s - self._changed_s < STAYS_BUSY_S else QUIET_S
        due_s, hurried_s = self._looked_s + every_s, self._hurried_s
        if hurried_s is not None:
            due_s = min(due_s, hurried_s)
        return max(due_s, self._not_before_s) - now_s

    def begin(self) -> None:
        self._looked_s, self._worked_s, self._hurried_s = time.monotonic(), time.thread_time(), None

    def end(self, sent_bytes: int) -> None:
        """`sent_bytes`: 0 when nothing had changed."""
        now_s = time.monotonic()
        spent_s = time.thread_time() - self._worked_s
        if sent_bytes:
            self._changed_s = now_s
        pause_s = max(spent_s * (1 / LARGEST_SHARE - 1), sent_bytes / MOST_BYTES_PER_S)
        self._not_before_s = now_s + min(pause_s, STAYS_BUSY_S)
