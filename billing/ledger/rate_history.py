"""What rates were, day by day: the last accepted snapshot of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine

from billing.ledger.database import rows


@dataclass(frozen=True, slots=True)
class PairOfADay:
    """Units of two currencies per 1 of the snapshot's base, at the provider's time."""

    provider_time: datetime
    rate_from: Decimal
    rate_to: Decimal


def pair(engine: Engine, from_: str, to: str, *, days: int, samples: bool) -> Sequence[PairOfADay]:
    """Oldest first; days (in UTC) without a snapshot that has both rates are left out."""
    found = rows(engine, _PAIR, (from_, to, samples, timedelta(days=days)))
    whole = (row for row in found if row.rate_from is not None and row.rate_to is not None)
    return [PairOfADay(row.provider_time, Decimal(row.rate_from), Decimal(row.rate_to)) for row in whole]


# The rates of a snapshot are large and kept apart from its row: only those that are shown are opened.
_PAIR = """
    SELECT s.provider_time, s.rates ->> %s AS rate_from, s.rates ->> %s AS rate_to
    FROM (SELECT DISTINCT ON ((provider_time AT TIME ZONE 'UTC')::date) id
          FROM rate_snapshots
          WHERE state = 'accepted' AND sample = %s AND accepted_at >= billing_now() - %s
          ORDER BY (provider_time AT TIME ZONE 'UTC')::date DESC, accepted_at DESC, id DESC) AS last_of_day
    JOIN rate_snapshots s USING (id)
    ORDER BY s.provider_time
"""
