"""Rates of days past, in the database: what a test can't wait for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Engine, insert, text

from billing.deliveries import Accepted, FetchedRates
from billing.identifiers import new_id
from billing.ledger import rates
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.tables.rates import RateSnapshotRow
from billing.origin import by_the_system


def accept(engine: Engine, **figures: str) -> UUID:
    """The id of a new snapshot, accepted at this instant of the database's clock."""
    with engine.connect() as connection:
        of = now(connection)
    found = {code: Decimal(figure) for code, figure in figures.items()}
    delivery = FetchedRates("a test", "USD", of, found)
    verdict = rates.record_delivery(engine, by_the_system("test"), delivery, rates.validators(engine))
    assert isinstance(verdict, Accepted)
    return verdict.snapshot.id


def store(engine: Engine, rates: Mapping[str, str], *, age: timedelta = timedelta(0), state: str = "accepted") -> None:
    """A snapshot of a provider's, as it would have been fetched so long ago by Python's clock, against USD."""
    then = datetime.now(UTC) - age
    with transaction(engine) as connection:
        connection.execute(
            insert(RateSnapshotRow).values(
                id=new_id(),
                provider="openexchangerates",
                base="USD",
                provider_time=then,
                fetched_at=then,
                rates={"USD": "1", **rates},
                state=state,
                accepted_at=then if state == "accepted" else None,
            )
        )


def age(engine: Engine, by: timedelta) -> None:
    """As if all that was fetched so far, samples apart, had been so much earlier; its order stays."""
    instants = ("provider_time", "fetched_at", "accepted_at")
    earlier = ", ".join(f"{name} = {name} - :by" for name in instants)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE rate_snapshots SET {earlier} WHERE NOT sample"), {"by": by})


def current_at(engine: Engine, instant: datetime) -> UUID:
    """The snapshot that was the newest accepted one then, by the database's clock."""
    query = """
        SELECT id FROM rate_snapshots WHERE state = 'accepted' AND NOT sample AND accepted_at <= :instant
        ORDER BY accepted_at DESC LIMIT 1
    """
    with engine.connect() as connection:
        found: UUID = connection.execute(text(query), {"instant": instant}).scalar_one()
        return found
