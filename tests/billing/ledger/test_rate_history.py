"""What rates were, day by day."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from billing.identifiers import new_id
from billing.ledger import rate_history

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
INSERT = text(
    "INSERT INTO rate_snapshots (id, provider, base, provider_time, fetched_at, accepted_at, rates, state, sample)"
    " VALUES (:id, 'test', 'USD', :at, :at, :accepted, CAST(:rates AS jsonb), :state, :sample)"
)


@pytest.fixture(autouse=True)
def _no_rates(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM rate_snapshots"))


def keep(
    engine: Engine, days_ago: int, hour: int, *, state: str = "accepted", sample: bool = False, **rates: str
) -> None:
    at = TODAY - timedelta(days=days_ago) + timedelta(hours=hour)
    values = {"id": new_id(), "at": at, "state": state, "sample": sample, "rates": json.dumps({"USD": "1", **rates})}
    with engine.begin() as connection:
        connection.execute(INSERT, {**values, "accepted": at if state == "accepted" else None})


def pairs(engine: Engine, *, days: int = 30, samples: bool = False) -> list[tuple[int, Decimal, Decimal]]:
    found = rate_history.pair(engine, "EUR", "GEL", days=days, samples=samples)
    return [((TODAY - day.provider_time).days + 1, day.rate_from, day.rate_to) for day in found]


def test_the_last_of_each_day_oldest_first(engine: Engine) -> None:
    keep(engine, 3, 1, EUR="0.8", GEL="2.6")
    keep(engine, 3, 23, EUR="0.81", GEL="2.61")
    keep(engine, 1, 12, EUR="0.82", GEL="2.62")
    assert pairs(engine) == [(3, Decimal("0.81"), Decimal("2.61")), (1, Decimal("0.82"), Decimal("2.62"))]


def test_only_what_was_in_use_counts(engine: Engine) -> None:
    keep(engine, 5, 1, EUR="0.8", GEL="2.6")
    keep(engine, 4, 1, EUR="8", GEL="26", state="dropped")
    keep(engine, 3, 1, EUR="0.8", GEL="2.7", sample=True)
    keep(engine, 2, 1, EUR="0.8")
    keep(engine, 40, 1, EUR="0.7", GEL="2.5")
    assert [day for day, *_ in pairs(engine)] == [5]
    assert [day for day, *_ in pairs(engine, days=90)] == [40, 5]
    assert [day for day, *_ in pairs(engine, samples=True)] == [3]
