"""Why it was this snapshot of rates, and not the one before or after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from billing.errors import RateSnapshotNotFound
from billing.ledger import database


@dataclass(frozen=True, slots=True)
class RateChoice:
    """When the snapshot was accepted, and when the next one of its kind was: from `accepted_at` on and before
    `next_accepted_at` it was the newest."""

    accepted_at: datetime
    next_accepted_at: datetime | None


def read(engine: Engine, snapshot_id: UUID) -> RateChoice:
    """Raises RateSnapshotNotFound for one that wasn't accepted."""
    row = database.one_row(engine, _CHOICE, (snapshot_id,))
    if row is None:
        raise RateSnapshotNotFound
    return RateChoice(row.accepted_at, row.next_accepted_at)


_CHOICE = """
    SELECT s.accepted_at,
           (SELECT min(n.accepted_at) FROM rate_snapshots n
            WHERE n.state = 'accepted' AND n.sample = s.sample
              AND (n.accepted_at, n.id) > (s.accepted_at, s.id)) AS next_accepted_at
    FROM rate_snapshots s WHERE s.id = %s AND s.state = 'accepted'
"""
