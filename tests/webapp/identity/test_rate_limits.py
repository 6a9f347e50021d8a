"""Counting requests: in one process, in several that share their counts, at the edges of a window."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from billing.identifiers import new_id
from billing.settings import SettingsInvalid
from webapp.identity import rate_counts
from webapp.identity.rate_counts import Counts
from webapp.identity.rate_limits import RateLimit, RateLimited, RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(limiter: RateLimiter, key: UUID, times: int) -> int:
    """How many of so many requests get through."""
    through = 0
    for _ in range(times):
        try:
            limiter.take(key)
        except RateLimited:
            continue
        through += 1
    return through


def test_no_more_than_the_limit_get_through_until_the_window_ends(clock: Clock):
    limiter, key = RateLimiter(RateLimit(5, 10), clock=clock), new_id()
    clock.now += 3.5
    assert [limiter.take(key).remaining for _ in range(5)] == [4, 3, 2, 1, 0]
    with pytest.raises(RateLimited) as refused:
        limiter.take(key)
    assert (refused.value.retry_after_s, refused.value.standing.remaining) == (7, 0)
    clock.now += 6.4
    assert taken(limiter, key, 1) == 0
    clock.now += 0.1
    assert taken(limiter, key, 9) == 5


def test_each_key_is_counted_for_itself(clock: Clock):
    """Keys made in the same millisecond too, whose ids begin alike."""
    limiter = RateLimiter(RateLimit(2, 10), clock=clock)
    keys = [new_id() for _ in range(50)]
    assert [taken(limiter, key, 3) for key in keys] == [2] * 50


def test_without_a_limit_nothing_is_counted():
    assert RateLimiter(None).take(uuid4()) is None


def test_processes_that_share_their_counts_count_together(clock: Clock):
    counts, key = Counts(3), new_id()
    beside = [RateLimiter(RateLimit(100, 10), clock=clock) for _ in range(3)]
    for row, limiter in enumerate(beside):
        limiter.count_beside(counts, row)
    assert sum(taken(beside[n % 3], key, 1) for n in range(200)) == 100


def test_real_processes_too():
    """At the edge all may be refused that come at one moment: some fewer, never more."""
    counts, key, limit = Counts(4), new_id(), RateLimit(4_000, 1_000_000)
    children = []
    for row in range(4):
        heard, said = os.pipe()
        child = os.fork()
        if not child:
            try:
                limiter = RateLimiter(limit)
                limiter.count_beside(counts, row)
                os.write(said, str(taken(limiter, key, 2_000)).encode())
            finally:
                os._exit(0)
        os.close(said)
        children.append((child, heard))
    through = 0
    for child, heard in children:
        os.waitpid(child, 0)
        through += int(os.read(heard, 100))
        os.close(heard)
    assert limit.requests - 4 <= through <= limit.requests


def test_threads_of_a_process_lose_no_count(clock: Clock):
    limiter, key = RateLimiter(RateLimit(1_000, 10), clock=clock), new_id()
    with ThreadPoolExecutor(8) as pool:
        through = sum(pool.map(lambda _: taken(limiter, key, 250), range(8)))
    assert through == 1_000


def test_where_there_is_no_room_nobody_is_refused(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_counts, "KEYS", 4)
    monkeypatch.setattr(rate_counts, "PLACES", 4)
    limiter = RateLimiter(RateLimit(1, 10), clock=clock)
    crowd = [UUID(int=n) for n in range(1, 6)]
    assert [taken(limiter, key, 2) for key in crowd] == [1, 1, 1, 1, 2]
    clock.now += 10
    assert taken(limiter, crowd[-1], 2) == 1


def test_a_clock_that_is_set_back_locks_nobody_out(clock: Clock):
    limiter, key = RateLimiter(RateLimit(2, 10), clock=clock), new_id()
    assert taken(limiter, key, 3) == 2
    clock.now -= 3_600
    assert taken(limiter, key, 3) == 2


def test_it_is_configured_as_requests_and_seconds():
    assert RateLimit.parse("600/60s") == RateLimit.parse("600/60") == RateLimit(600, 60)
    assert RateLimit.parse("none") is None


@pytest.mark.parametrize("text", ["0/10s", "10/0s", "10", "-1/10", "ten/1s", "10/1m", "1e3/1s"])
def test_what_is_no_limit_is_refused(text: str):
    with pytest.raises(SettingsInvalid, match="API_RATE_LIMIT"):
        RateLimit.parse(text)
