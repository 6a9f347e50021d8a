"""Where the continuous comparison stands: which worker does the next round, and which bills are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.ledger.database import snapshot, transaction
from billing.ledger.reads import bills_by_id


@dataclass(frozen=True, slots=True)
class Round:
    """The bills to be looked at now. `of_the_ledger`: its numbers and its log are due too."""

    bills: Sequence[Bill]
    of_the_ledger: bool


def claim(engine: Engine, *, every: timedelta, ledger_every: timedelta, rolling: int, urgent: int) -> Round | None:
    """None when another worker has this round. Whoever has it and dies leaves the next one to others.

    In it are `rolling` bills whose workflow isn't done, in the order of their ids after those of the round before;
    `urgent` ones whose workflow has not heard of a change for two minutes; and `urgent` of those about which something
    is found, the ones that were looked at longest ago.
    """
    with transaction(engine) as connection:
        row = connection.execute(_CLAIM, {"every": every, "ledger_every": ledger_every}).one_or_none()
        if row is None:
            return None
        wanted = connection.execute(_ROLLING, {"after": row.after_bill, "limit": rolling}).scalars().all()
        lap_ends = len(wanted) < rolling
        place = {"after": UUID(int=0) if lap_ends else wanted[-1], "lap_ends": lap_ends}
        connection.execute(_MOVE, place)
        for query in (_UNHEARD, _FOUND):
            wanted = [*wanted, *connection.execute(query, {"limit": urgent}).scalars()]
    with snapshot(engine) as connection:
        return Round(bills_by_id(connection, list(dict.fromkeys(wanted))), row.of_the_ledger)


_CLAIM = text(
    """
    WITH due AS (SELECT * FROM reconciler WHERE due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
    UPDATE reconciler r
    SET due_at = clock_timestamp() + :every, lap_began_at = coalesce(r.lap_began_at, clock_timestamp()),
        ledger_due_at = CASE WHEN due.ledger_due_at <= clock_timestamp() THEN clock_timestamp() + :ledger_every
                             ELSE due.ledger_due_at END
    FROM due WHERE r.id = due.id
    RETURNING due.after_bill, due.ledger_due_at <= clock_timestamp() AS of_the_ledger
    """
)
_ROLLING = text(
    "SELECT bill_id FROM bill_workflows WHERE finished_at IS NULL AND bill_id > :after ORDER BY bill_id LIMIT :limit"
)
# Finding none means asking about all of them; the sweep has counted them a moment ago.
_UNHEARD = text(
    """
    SELECT b.id FROM bill_workflows w JOIN bills b ON b.id = w.bill_id
    WHERE w.finished_at IS NULL AND w.heard_version < b.version AND b.updated_at < billing_now() - interval '2 minutes'
      AND (SELECT workflows_behind > 0 FROM rollup_position)
    LIMIT :limit
    """
)
# What is found about no bill, or about one that isn't there, would only take the place of others.
_FOUND = text(
    """
    SELECT bill_id FROM (SELECT bill_id, last_seen FROM findings WHERE resolved_at IS NULL ORDER BY id LIMIT 10000) f
    WHERE EXISTS (SELECT FROM bills b WHERE b.id = f.bill_id) ORDER BY last_seen LIMIT :limit
    """
)
_MOVE = text(
    """
    UPDATE reconciler
    SET after_bill = :after,
        lap_ended_at = CASE WHEN :lap_ends THEN clock_timestamp() ELSE lap_ended_at END,
        lap_began_at = CASE WHEN :lap_ends THEN NULL ELSE lap_began_at END
    """
)
