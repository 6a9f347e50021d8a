"""Rate snapshots in PostgreSQL, shared by all processes; and the record of every attempt to fetch one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, select, text, update
from sqlalchemy.dialects import postgresql

from billing.deliveries import Accepted, FetchedRates, NotModified, Quarantined, Unchanged, Verdict, judge, moved_rates
from billing.errors import RateSnapshotNotFound
from billing.identifiers import new_id
from billing.ledger import events
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.tables.rates import RateRefreshRow, RateSnapshotRow
from billing.origin import Origin
from billing.rates import STALE_AFTER, RateSnapshot

_TABLE = RateSnapshotRow.__table__


@dataclass(frozen=True, slots=True)
class Validators:
    """What goes with a conditional request for the same rates, and which snapshot they are of."""

    snapshot_id: UUID | None
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to fetch rates: `outcome` is accepted, unchanged, quarantined, or the reason of its failure."""

    attempted_at: datetime
    outcome: str
    detail: str


def current(engine: Engine, *, samples: bool) -> RateSnapshot | None:
    """The newest accepted snapshot; sample rates only when no provider is configured (`samples`)."""
    with snapshot(engine) as connection:
        return _current(connection, samples=samples)


def _current(connection: Connection, *, samples: bool) -> RateSnapshot | None:
    row = connection.execute(
        select(_TABLE)
        .where(_TABLE.c.state == "accepted", _TABLE.c.sample == samples)
        .order_by(_TABLE.c.accepted_at.desc(), _TABLE.c.id.desc())
        .limit(1)
    ).one_or_none()
    return _snapshot_of(row) if row else None


def snapshot_by_id(engine: Engine, snapshot_id: UUID) -> RateSnapshot:
    """Raises RateSnapshotNotFound. What comes back never changes."""
    with snapshot(engine) as connection:
        row = connection.execute(select(_TABLE).where(_TABLE.c.id == snapshot_id)).one_or_none()
    if row is None:
        raise RateSnapshotNotFound
    return _snapshot_of(row)


def quarantined(engine: Engine) -> Quarantined | None:
    """The snapshot that awaits an admin's decision or further fetches that agree."""
    with snapshot(engine) as connection:
        return _quarantined(connection)


def _quarantined(connection: Connection) -> Quarantined | None:
    row = connection.execute(select(_TABLE).where(_TABLE.c.state == "quarantined")).one_or_none()
    if row is None:
        return None
    pending, standing = _snapshot_of(row), _current(connection, samples=False)
    moves = moved_rates(standing, pending) if standing else ()
    return Quarantined(pending, moves, row.agreeing_fetches)


def validators(engine: Engine) -> Validators:
    """Of the quarantined snapshot if there is one, else of the newest real one."""
    query = (
        select(_TABLE.c.id, _TABLE.c.etag, _TABLE.c.last_modified)
        .where(_TABLE.c.state != "dropped", _TABLE.c.sample.is_(False))
        .order_by((_TABLE.c.state == "quarantined").desc(), _TABLE.c.fetched_at.desc())
        .limit(1)
    )
    with snapshot(engine) as connection:
        row = connection.execute(query).one_or_none()
    return Validators(row.id, row.etag, row.last_modified) if row else Validators(None, None, None)


def record_delivery(
    engine: Engine,
    origin: Origin,
    delivery: FetchedRates | NotModified,
    sent: Validators,
    *,
    stale_after: timedelta = STALE_AFTER,
) -> Verdict:
    """Judges a delivery against what is stored and stores the verdict. Raises RatesRefused.

    `sent` are the validators of the request: what is not modified is the snapshot they are of.
    """
    with transaction(engine) as connection:
        one_judge_at_a_time(connection)
        pending = _quarantined(connection)
        if isinstance(delivery, NotModified) and pending and pending.snapshot.id != sent.snapshot_id:
            return Unchanged()  # quarantined by another process meanwhile; this answer says nothing of it
        verdict = judge(
            delivery,
            current=_current(connection, samples=False),
            pending=pending,
            now=now(connection),
            snapshot_id=new_id(),
            stale_after=stale_after,
        )
        _drop_quarantined(connection)
        if isinstance(verdict, Accepted | Quarantined):
            _store(connection, verdict, delivery if isinstance(delivery, FetchedRates) else sent)
        if isinstance(verdict, Accepted):
            _tell(connection, origin, "rates.refreshed", verdict.snapshot)
        return verdict


def accept_quarantined(engine: Engine, origin: Origin, snapshot_id: UUID) -> RateSnapshot:
    """An admin's word that the rates are right. Raises RateSnapshotNotFound when they await no decision."""
    with transaction(engine) as connection:
        one_judge_at_a_time(connection)
        row = connection.execute(
            update(RateSnapshotRow)
            .where(_TABLE.c.id == snapshot_id, _TABLE.c.state == "quarantined")
            .values(state="accepted", accepted_at=now(connection))
            .returning(_TABLE)
        ).one_or_none()
        if row is None:
            raise RateSnapshotNotFound
        accepted = _snapshot_of(row)
        _tell(connection, origin, "rates.accepted", accepted)
        return accepted


def one_judge_at_a_time(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('billing.rates', 0))"))


def _drop_quarantined(connection: Connection) -> None:
    connection.execute(update(RateSnapshotRow).where(_TABLE.c.state == "quarantined").values(state="dropped"))


def _store(connection: Connection, verdict: Accepted | Quarantined, seen: FetchedRates | Validators) -> None:
    stored, accepted = verdict.snapshot, isinstance(verdict, Accepted)
    connection.execute(
        insert(RateSnapshotRow).values(
            **_columns(stored),
            state="accepted" if accepted else "quarantined",
            accepted_at=stored.fetched_at if accepted else None,
            agreeing_fetches=verdict.agreeing_fetches,
            etag=seen.etag,
            last_modified=seen.last_modified,
        )
    )


def store_sample(connection: Connection, sample: RateSnapshot) -> None:
    """The rates that ship with the project; stored once, they serve while no provider is configured."""
    connection.execute(
        postgresql.insert(RateSnapshotRow)
        .values(**_columns(sample), state="accepted", accepted_at=sample.fetched_at)
        .on_conflict_do_nothing(index_elements=["id"])
    )


def _columns(stored: RateSnapshot) -> dict[str, Any]:
    return {
        "id": stored.id,
        "provider": stored.provider,
        "base": stored.base,
        "provider_time": stored.provider_time,
        "fetched_at": stored.fetched_at,
        "rates": {code: format(rate, "f") for code, rate in stored.rates.items()},
        "sample": stored.sample,
    }


def _tell(connection: Connection, origin: Origin, event: str, stored: RateSnapshot) -> None:
    data = {"provider": stored.provider}
    events.append(connection, origin, event, ("rates", stored.id), 1, now(connection), data)


def claim_refresh(engine: Engine, *, every: timedelta) -> bool:
    """True for one process at a time, when the last attempt is `every` ago or its time to retry has come."""
    with transaction(engine) as connection:
        one_judge_at_a_time(connection)
        due = connection.execute(_REFRESH_IS_DUE, {"every": every}).scalar_one()
        if due:
            # Until it is known how the attempt ended, a process that died in it is followed by another soon.
            values = {"outcome": "running", "retry_at": text("clock_timestamp() + interval '1 minute'")}
            connection.execute(insert(RateRefreshRow).values(**values))
        return bool(due)


_REFRESH_IS_DUE = text(
    """
    SELECT coalesce((SELECT clock_timestamp() >= coalesce(retry_at, attempted_at + :every)
                     FROM rate_refreshes ORDER BY id DESC LIMIT 1), true)
    """
)


def record_attempt(engine: Engine, outcome: str, detail: str = "", *, retry_after: timedelta | None = None) -> None:
    with transaction(engine) as connection:
        retry_at = now(connection) + retry_after if retry_after else None
        connection.execute(insert(RateRefreshRow).values(outcome=outcome, detail=detail, retry_at=retry_at))


def attempts(engine: Engine, *, limit: int) -> Sequence[Attempt]:
    """The newest attempts first."""
    rows = RateRefreshRow.__table__
    query = select(rows).where(rows.c.outcome != "running").order_by(rows.c.id.desc()).limit(limit)
    with snapshot(engine) as connection:
        return [Attempt(row.attempted_at, row.outcome, row.detail) for row in connection.execute(query)]


def _snapshot_of(row: Any) -> RateSnapshot:
    return RateSnapshot(
        id=row.id,
        provider=row.provider,
        base=row.base,
        provider_time=row.provider_time,
        fetched_at=row.fetched_at,
        rates={code: Decimal(rate) for code, rate in row.rates.items()},
        sample=row.sample,
    )
