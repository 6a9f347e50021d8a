"""How often something may be tried: counted in the database, so that all processes count together.

An attempt is counted before it is made, in one statement: however many arrive at once, no more than the limit are
made, and a right password after the limit waits like a wrong one. Where the counts can't be kept, nothing may be
tried: they are in the database that knows the passwords, so little is lost by it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

import psycopg
from sqlalchemy import Engine

from billing.errors import ResourceExhausted, Unavailable
from billing.ledger.database import rows


@dataclass(frozen=True, slots=True)
class Limit:
    """At most this many attempts from the first one on, until the window is over."""

    name: str
    attempts: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit and what it is counted for; kept as a hash."""

    limit: Limit
    of: str

    @property
    def key(self) -> bytes:
        return hashlib.sha256(f"{self.limit.name}\0{self.of}".encode()).digest()


class TooManyAttempts(ResourceExhausted):
    """It was tried too often; `retry_after_s` says when it may be tried again."""

    reason = "too_many_attempts"
    default_message = "too many attempts"

    def __init__(self, retry_after_s: int):
        super().__init__()
        self.retry_after_s = retry_after_s


# Sorted, so that two statements lock rows in the same order.
_COUNT = """
    INSERT INTO attempts AS a (key, count, ends_at)
    SELECT key, 1, clock_timestamp() + make_interval(secs => seconds)
    FROM unnest(%s::bytea[], %s::double precision[]) AS tried (key, seconds) ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN a.ends_at <= clock_timestamp() THEN 1 ELSE a.count + 1 END,
        ends_at = CASE WHEN a.ends_at <= clock_timestamp() THEN excluded.ends_at ELSE a.ends_at END
    RETURNING key, count, extract(epoch FROM ends_at - clock_timestamp())::double precision AS wait_s
"""
_FORGET_OLD = """
    DELETE FROM attempts WHERE key IN
        (SELECT key FROM attempts WHERE ends_at < clock_timestamp() LIMIT 100 FOR UPDATE SKIP LOCKED)
    RETURNING key
"""
_GIVE_BACK = """
    UPDATE attempts SET count = count - 1 WHERE key IN
        (SELECT key FROM attempts WHERE key = ANY(%s::bytea[]) AND count > 0 ORDER BY key FOR UPDATE)
    RETURNING key
"""
_FORGET = "DELETE FROM attempts WHERE key = %s RETURNING key"


def count(engine: Engine, *tried: Counted) -> None:
    """Counts an attempt, under each limit. Raises TooManyAttempts when it is one too many for any of them."""
    limits = {counted.key: counted.limit for counted in tried}
    seconds = [limit.window.total_seconds() for limit in limits.values()]
    try:
        counts = rows(engine, _COUNT, (list(limits), seconds))
    except psycopg.Error as error:
        raise Unavailable from error
    waits = [row.wait_s for row in counts if row.count > limits[bytes(row.key)].attempts]
    if waits:
        raise TooManyAttempts(max(1, math.ceil(max(waits))))


def succeeded(engine: Engine, *, forget: Counted, give_back: Sequence[Counted] = ()) -> None:
    """What succeeded was no attempt to get in: those before it are forgotten, or it alone isn't counted."""
    rows(engine, _FORGET, (forget.key,))
    if give_back:
        rows(engine, _GIVE_BACK, ([counted.key for counted in give_back],))
    rows(engine, _FORGET_OLD, ())


def network(address: str | None) -> str:
    """What one subscriber has: an IPv4 address, or the half of an IPv6 address that is the same for all of theirs."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or int(parsed) >> 64)
