"""How the ledger stands, in few figures for those who watch over it: counts and ages, of nothing and nobody by name.

Counts end at MOST_COUNTED: what is beyond needs somebody all the same, and a scrape must not read a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from billing.ledger.database import snapshot
from billing.ledger.webhook_endpoints import BY_HAND, FAILING

MOST_COUNTED = 10_000
# What is due closes within a second or two; what is late by more needs somebody.
CLOSING_LATE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Monitored:
    """Ages are in seconds, and None of what never was; sample rates have none and are never stale.

    `bills_open` follows the log, as the overview's sums do.
    """

    bills_open: int
    bills_overdue: int
    most_overdue_s: float
    bills_closing: int
    bills_closing_late: int
    requests_pending: int
    workflows_behind: int
    events_not_counted: int
    sums_age_s: float | None
    heartbeat_age_s: float | None
    rates_age_s: float | None
    rates_stale: bool
    rates_in_quarantine: int
    webhooks_pending: int
    webhooks_late_s: float
    webhook_endpoints_paused: Mapping[str, int]
    oldest_import_s: float


def monitored(engine: Engine, *, samples: bool, stale_after: timedelta) -> Monitored:
    """All at one instant. Raises Unavailable."""
    with snapshot(engine) as connection:
        row = connection.execute(
            _FIGURES, {"limit": MOST_COUNTED, "late": CLOSING_LATE_AFTER, "samples": samples}
        ).one()
    return Monitored(
        bills_open=row.bills_open,
        bills_overdue=row.bills_overdue,
        most_overdue_s=_age_s(row.now, row.first_overdue) or 0.0,
        bills_closing=row.bills_closing,
        bills_closing_late=row.bills_closing_late,
        requests_pending=row.requests_pending,
        workflows_behind=row.workflows_behind,
        events_not_counted=row.events_not_counted,
        sums_age_s=_age_s(row.now, row.followed_at),
        heartbeat_age_s=_age_s(row.clock, row.beat_at),
        rates_age_s=None if samples else _age_s(row.now, row.provider_time),
        rates_stale=not samples and (row.provider_time is None or row.now - row.provider_time > stale_after),
        rates_in_quarantine=row.rates_in_quarantine,
        webhooks_pending=row.webhooks_pending,
        webhooks_late_s=_age_s(row.now, row.webhooks_due_at) or 0.0,
        webhook_endpoints_paused={BY_HAND: row.paused_by_hand, FAILING: row.paused_failing},
        oldest_import_s=_age_s(row.now, row.first_import) or 0.0,
    )


def _age_s(instant: datetime, since: datetime | None) -> float | None:
    return None if since is None else max((instant - since) / timedelta(seconds=1), 0.0)


# The clock is a volatile function, which no index can be searched by: as a query of its own it is read once, first.
_FIGURES = text(
    """
    WITH clock AS MATERIALIZED (SELECT billing_now() AS now, clock_timestamp() AS clock)
    SELECT clock.now, clock.clock, position.followed_at, position.workflows_behind,
           coalesce((SELECT bills FROM bill_states WHERE status = 'open'), 0) AS bills_open,
           (SELECT count(*) FROM (SELECT FROM bills WHERE status = 'open' AND period_end <= (SELECT now FROM clock)
                                  LIMIT :limit) AS overdue) AS bills_overdue,
           (SELECT period_end FROM bills WHERE status = 'open' AND period_end <= (SELECT now FROM clock)
            ORDER BY period_end LIMIT 1) AS first_overdue,
           (SELECT count(*) FROM (SELECT FROM bills WHERE status = 'closing' LIMIT :limit) AS closing) AS bills_closing,
           (SELECT count(*) FROM (SELECT FROM bills WHERE status = 'closing'
                                  AND close_requested_at < (SELECT now FROM clock) - :late
                                  LIMIT :limit) AS late) AS bills_closing_late,
           (SELECT count(*) FROM (SELECT FROM line_item_requests WHERE state = 'pending'
                                  LIMIT :limit) AS pending) AS requests_pending,
           (SELECT count(*) FROM (SELECT FROM events WHERE (xid, seq) > (position.xid, position.seq)
                                  LIMIT :limit) AS events) AS events_not_counted,
           (SELECT min(coalesce(started_at, created_at)) FROM imports
            WHERE state IN ('waiting', 'running')) AS first_import,
           (SELECT max(beat_at) FROM worker_heartbeats) AS beat_at,
           (SELECT provider_time FROM rate_snapshots WHERE state = 'accepted' AND sample = :samples
            ORDER BY accepted_at DESC, id DESC LIMIT 1) AS provider_time,
           (SELECT count(*) FROM rate_snapshots WHERE state = 'quarantined' AND sample = :samples)
               AS rates_in_quarantine,
           (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE status = 'pending'
                                  LIMIT :limit) AS pending) AS webhooks_pending,
           webhooks.due_at AS webhooks_due_at, webhooks.paused_by_hand, webhooks.paused_failing
    FROM clock, rollup_position AS position,
         (SELECT min(due_at) AS due_at, count(*) FILTER (WHERE paused_reason = 'by_hand') AS paused_by_hand,
                 count(*) FILTER (WHERE paused_reason = 'failing') AS paused_failing
          FROM webhook_endpoints) AS webhooks
    """
)
