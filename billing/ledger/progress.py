"""What each bill's workflow has heard of its bill, in a table of its own: adders lock the bill's row, not this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.errors import BillNotFound
from billing.ledger.database import snapshot, transaction
from billing.ledger.reads import bills_by_id


@dataclass(frozen=True, slots=True)
class Heard:
    """`version` 0: no workflow has run for the bill yet."""

    version: int
    finished: bool


def record_heard(engine: Engine, bill_id: UUID, version: int, *, finished: bool = False) -> None:
    """The workflow has heard of this version, and whether it is done. Late and repeated calls change nothing.

    Raises BillNotFound.
    """
    with transaction(engine) as connection:
        recorded = connection.execute(_RECORD, {"bill_id": bill_id, "version": version, "finished": finished})
        if recorded.rowcount == 0:
            raise BillNotFound


_RECORD = text(
    """
    UPDATE bill_workflows
    SET heard_version = greatest(heard_version, :version), heard_at = billing_now(),
        finished_at = coalesce(finished_at, CASE WHEN :finished THEN billing_now() END)
    WHERE bill_id = :bill_id
    """
)


def heard(engine: Engine, bill_id: UUID) -> Heard:
    with snapshot(engine) as connection:
        row = connection.execute(
            text("SELECT heard_version, finished_at FROM bill_workflows WHERE bill_id = :bill_id"),
            {"bill_id": bill_id},
        ).one_or_none()
    return Heard(row.heard_version, row.finished_at is not None) if row else Heard(0, finished=False)


def behind(engine: Engine, *, quiet_for: timedelta, limit: int, after: UUID | None = None) -> Sequence[Bill]:
    """Bills whose workflow has not heard their version, or has not finished though they are closed.

    Those that changed within `quiet_for` are left to the signals under way; a closed bill has none on the way, and is
    left for three seconds to the workflow that closed it. In the order of ids, after one.
    """
    with snapshot(engine) as connection:
        rows = connection.execute(
            _BEHIND, {"quiet_for": quiet_for, "limit": limit, "after": after or UUID(int=0)}
        ).all()
        return bills_by_id(connection, [row.id for row in rows])


_BEHIND = text(
    """
    SELECT b.id FROM bills b JOIN bill_workflows w ON w.bill_id = b.id
    WHERE w.finished_at IS NULL AND (w.heard_version < b.version OR b.status = 'closed')
      AND b.updated_at < billing_now() - CASE b.status WHEN 'closed' THEN least(:quiet_for, interval '3 seconds')
                                                      ELSE :quiet_for END
      AND b.id > :after
    ORDER BY b.id LIMIT :limit
    """
)


def beat(engine: Engine, worker: str) -> None:
    """A worker's sign of life; forgets those that gave none for a day."""
    with transaction(engine) as connection:
        connection.execute(_BEAT, {"worker": worker})
        connection.execute(text("DELETE FROM worker_heartbeats WHERE beat_at < clock_timestamp() - interval '1 day'"))


_BEAT = text(
    """
    INSERT INTO worker_heartbeats (worker, beat_at) VALUES (:worker, clock_timestamp())
    ON CONFLICT (worker) DO UPDATE SET beat_at = excluded.beat_at
    """
)


def last_beat_age(engine: Engine) -> timedelta | None:
    """Since any worker gave a sign of life; None when none ever did."""
    with snapshot(engine) as connection:
        age: timedelta | None = connection.execute(
            text("SELECT clock_timestamp() - max(beat_at) FROM worker_heartbeats")
        ).scalar_one()
        return age
