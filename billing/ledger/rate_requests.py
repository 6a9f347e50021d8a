"""Fetching rates because somebody asks for it now: never more often than a provider may be asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select, text

from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.rates import one_judge_at_a_time
from billing.ledger.rows import Row
from billing.ledger.tables.rates import RateRefreshRow

AT_MOST_EVERY = timedelta(minutes=1)
# Our own patience after a failure, which somebody who has mended the cause needn't have.
OUR_PATIENCE = timedelta(minutes=5)
_NOW = timedelta(0)


def wait_until_allowed(engine: Engine) -> timedelta:
    """How long until rates may be fetched by hand; nothing when they may be now."""
    with snapshot(engine) as connection:
        return _wait(connection)


def claim_by_hand(engine: Engine) -> timedelta:
    """Nothing when the caller is to fetch them, and nobody else; else how long until that is allowed."""
    with transaction(engine) as connection:
        one_judge_at_a_time(connection)
        wait = _wait(connection)
        if not wait:
            values = {"outcome": "running", "retry_at": text("clock_timestamp() + interval '1 minute'")}
            connection.execute(insert(RateRefreshRow).values(**values))
        return wait


def _wait(connection: Connection) -> timedelta:
    rows = RateRefreshRow.__table__
    last = connection.execute(select(rows).order_by(rows.c.id.desc()).limit(1)).one_or_none()
    return max(_allowed_at(last) - now(connection), _NOW) if last is not None else _NOW


def _allowed_at(last: Row) -> datetime:
    """A minute after the last attempt; when the provider said that this is too often, as late as it asked for."""
    soonest: datetime = last.attempted_at + AT_MOST_EVERY
    provider_asked = last.retry_at is not None and (
        last.outcome == "rate_limited" or last.retry_at - last.attempted_at > OUR_PATIENCE + timedelta(seconds=1)
    )
    return max(soonest, last.retry_at) if provider_asked else soonest
