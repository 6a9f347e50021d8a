"""How often something may be tried: counted in the database, so that all processes count together.

An attempt is counted before it is made, in one transaction: however many arrive at once, no more than the limit are
made, and a right password after the limit waits like a wrong one. One that is refused under any limit counts under
none: who waits for a narrow one can't use up a wider one, at which others would wait too. Where the counts can't be
kept, nothing may be tried: they are in the database that knows the passwords, so little is lost by it.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from billing.errors import IdempotencyInProgress, ResourceExhausted, Unavailable
from billing.ledger.database import rows, transaction


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


# Changes nothing where the limit is reached.
_COUNT = """
    INSERT INTO attempts AS a (key, count, ends_at)
    VALUES (%s, 1, clock_timestamp() + make_interval(secs => %s))
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN a.ends_at <= clock_timestamp() THEN 1 ELSE a.count + 1 END,
        ends_at = CASE WHEN a.ends_at <= clock_timestamp() THEN excluded.ends_at ELSE a.ends_at END
    WHERE a.ends_at <= clock_timestamp() OR a.count < %s
    RETURNING key
"""
_WAIT_S = """
    SELECT max(extract(epoch FROM a.ends_at - clock_timestamp()))::double precision
    FROM attempts a JOIN unnest(%s::bytea[], %s::bigint[]) AS tried (key, most) USING (key)
    WHERE a.count >= tried.most
"""
_FORGET_OLD = """
    DELETE FROM attempts WHERE key IN
        (SELECT key FROM attempts WHERE ends_at < clock_timestamp() LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
_GIVE_BACK = "UPDATE attempts SET count = count - 1 WHERE key = %s AND count > 0 RETURNING key"
_FORGET = "DELETE FROM attempts WHERE key = %s RETURNING key"


def count(engine: Engine, *tried: Counted) -> None:
    """Counts an attempt, under each limit. Raises TooManyAttempts when it is one too many for any of them."""
    try:
        with transaction(engine) as connection:
            _count(connection, tried)
    except (SQLAlchemyError, IdempotencyInProgress) as error:
        raise Unavailable from error


def _count(connection: Connection, tried: tuple[Counted, ...]) -> None:
    """The roomiest limit first: all lock rows in that order, and where a whole network waits no row is made.

    What is over is deleted along with it, faster than it can come: a table that anybody can fill stays small.
    """
    for counted in sorted(tried, key=lambda counted: (-counted.limit.attempts, counted.key)):
        limit = counted.limit
        values = (counted.key, limit.window.total_seconds(), limit.attempts)
        if connection.exec_driver_sql(_COUNT, values).one_or_none() is None:
            reached = ([counted.key for counted in tried], [counted.limit.attempts for counted in tried])
            wait_s = connection.exec_driver_sql(_WAIT_S, reached).scalar_one()
            raise TooManyAttempts(max(1, math.ceil(wait_s or 0)))
    connection.exec_driver_sql(_FORGET_OLD)


def succeeded(engine: Engine, *, forget: Counted) -> None:
    """What succeeded was no attempt to get in, and those before it were by the same person."""
    rows(engine, _FORGET, (forget.key,))


def give_back(engine: Engine, *tried: Counted) -> None:
    """One that was counted and wasn't made, or that succeeded."""
    for counted in tried:
        rows(engine, _GIVE_BACK, (counted.key,))


def network(address: str | None) -> str:
    """What one subscriber has: an IPv4 address, or the half of an IPv6 address that is the same for all of theirs."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or int(parsed) >> 64)
