"""What each bill's workflow has heard of its bill, in a table of its own: adders lock the bill's row, not this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import Engine, TextClause, text

from billing.bill import Bill
from billing.errors import BillNotFound
from billing.ledger import modes
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.reads import bills_by_id


@dataclass(frozen=True, slots=True)
class Heard:
    """`version` 0: no workflow has run for the bill yet."""

    version: int
    finished: bool


def record_heard(engine: Engine, bill_id: UUID, version: int, *, finished: bool = False, epoch: int = 0) -> None:
    """The workflow has heard of this version, and whether it is done. Late and repeated calls change nothing.

    Nor do those that speak of a ledger that is gone: what was heard in an `epoch` before the one in which the bill was
    told anew, versions that aren't stored (any more), the end of a bill that is open. Raises BillNotFound.
    """
    heard = {"bill_id": bill_id, "version": version, "finished": finished, "epoch": epoch}
    with transaction(engine) as connection:
        recorded = connection.execute(_RECORD, heard)
        if recorded.rowcount == 0:
            raise BillNotFound


_RECORD = text(
    """
    UPDATE bill_workflows w
    SET heard_version = CASE WHEN is_gone.yes THEN w.heard_version
                             ELSE greatest(w.heard_version, least(:version, b.version)) END,
        heard_at = billing_now(),
        finished_at = CASE WHEN :finished AND b.status = 'closed' AND NOT is_gone.yes
                           THEN coalesce(w.finished_at, billing_now()) ELSE w.finished_at END
    FROM bills b, (SELECT EXISTS (SELECT FROM ledger_losses WHERE bill_id = :bill_id AND epoch > :epoch) AS yes) is_gone
    WHERE w.bill_id = :bill_id AND b.id = :bill_id
    """
)


def record_ended(engine: Engine, versions: Mapping[UUID, int], *, epoch: int) -> None:
    """The workflows of these closed bills have ended, each having heard that version: as `record_heard`, of many."""
    columns = {"ids": list(versions), "versions": list(versions.values()), "epoch": epoch}
    with transaction(engine) as connection:
        connection.execute(_RECORD_ENDED, {**columns, "instant": now(connection)})


# Rows of a bill are joined by its id and the clock is read before, as they have to be where tables are distributed.
_RECORD_ENDED = text(
    """
    UPDATE bill_workflows w
    SET heard_version = greatest(w.heard_version, least(e.version, b.version)),
        heard_at = CAST(:instant AS timestamptz),
        finished_at = coalesce(w.finished_at, CAST(:instant AS timestamptz))
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS e(id, version), bills b
    WHERE w.bill_id = e.id AND b.id = w.bill_id AND b.status = 'closed'
      AND NOT EXISTS (SELECT FROM ledger_losses l WHERE l.bill_id = w.bill_id AND l.epoch > :epoch)
    """
)


def heard(engine: Engine, bill_id: UUID) -> Heard:
    with snapshot(engine) as connection:
        row = connection.execute(
            text("SELECT heard_version, finished_at FROM bill_workflows WHERE bill_id = :bill_id"),
            {"bill_id": bill_id},
        ).one_or_none()
    return Heard(row.heard_version, row.finished_at is not None) if row else Heard(0, finished=False)


@dataclass(frozen=True, slots=True)
class Behind:
    """Bills whose workflows are to be told something; no other worker gets them until they are released.

    `go_on_after` is where the next look begins; None: at the beginning, since this one came to the end.
    """

    bills: Sequence[Bill]
    go_on_after: UUID | None
    release: Callable[[], None]


# Workflows that one look goes through: some 130 ms of a processor, however many millions there are.
LOOKED_THROUGH = 100_000


def claim_behind(engine: Engine, *, quiet_for: timedelta, limit: int, after: UUID | None = None) -> Behind:
    """Bills whose workflow has not heard their version, or has not finished though they are closed.

    Those that changed within `quiet_for` are left to the signals under way; a closed bill has none on the way, and is
    left for three seconds to the workflow that closed it. In the order of ids, after one, and among the next
    LOOKED_THROUGH that haven't finished.
    """
    test = modes.is_test(engine)
    stretch = {"after": after or UUID(int=0), "stretch": LOOKED_THROUGH}
    asked = {**stretch, "quiet_for": quiet_for, "most": 4 * limit}
    with snapshot(engine) as connection:
        found = connection.execute(_asking(_BEHIND, test=test), asked).scalars().all()
        last = connection.execute(_LAST_OF_THE_STRETCH, stretch).scalar_one_or_none()
    with ExitStack() as claim:
        # Advisory locks, so that nobody waits for them: neither those who add nor workflows that record. The
        # transaction reads no table, so that none is kept from being altered for as long as a claim lasts, and ends
        # with the worker should that die.
        claimed = claim.enter_context(transaction(engine)).execute(_CLAIM, {"ids": found, "limit": limit})
        ids = claimed.scalars().all()
        with snapshot(engine) as connection:
            # Somebody else may have told some of them, and released them, since they were found.
            still = connection.execute(_asking(_STILL_BEHIND, test=test), {"quiet_for": quiet_for, "ids": ids})
            bills = bills_by_id(connection, still.scalars().all())
        return Behind(bills, _go_on_after(found, ids, limit, last), claim.pop_all().close)


def _go_on_after(found: Sequence[UUID], claimed: Sequence[UUID], limit: int, last: UUID | None) -> UUID | None:
    if len(claimed) == limit:
        return max(claimed)
    return found[-1] if len(found) == 4 * limit else last


_IS_BEHIND = """
    (w.heard_version < b.version OR b.status = 'closed')
    AND b.updated_at {ahead}
        < (SELECT billing_now()) - CASE b.status WHEN 'closed' THEN least(:quiet_for, interval '3 seconds')
                                                 ELSE :quiet_for END
"""
# From each workflow to its bill, which LIMIT keeps PostgreSQL from turning around: one that is wedged for a year has
# all bills that were closed meanwhile between it and the next.
_BEHIND = """
    SELECT w.bill_id FROM (
        SELECT bill_id, heard_version FROM bill_workflows WHERE finished_at IS NULL AND bill_id > :after
        ORDER BY bill_id LIMIT :stretch
    ) w CROSS JOIN LATERAL (SELECT FROM bills b WHERE b.id = w.bill_id AND {is_behind} LIMIT 1) b
    ORDER BY w.bill_id LIMIT :most
"""


@cache
def _asking(query: str, *, test: bool) -> TextClause:
    """When a test bill changed is told by its own clock."""
    ahead = "- b.clock_ahead" if test else ""
    return text(query.format(is_behind=_IS_BEHIND.format(ahead=ahead)))


_LAST_OF_THE_STRETCH = text(
    "SELECT bill_id FROM bill_workflows WHERE finished_at IS NULL AND bill_id > :after"
    " ORDER BY bill_id OFFSET :stretch - 1 LIMIT 1"
)
_STILL_BEHIND = """
    SELECT b.id FROM bills b JOIN bill_workflows w ON w.bill_id = b.id
    WHERE w.finished_at IS NULL AND {is_behind} AND b.id = ANY(CAST(:ids AS uuid[])) ORDER BY b.id
"""
_CLAIM = text(
    """
    SELECT id FROM unnest(CAST(:ids AS uuid[])) AS found(id)
    WHERE pg_try_advisory_xact_lock(hashtextextended(id::text, 20261130)) LIMIT :limit
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
