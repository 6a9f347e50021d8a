"""Ledgers of test mode; databases that are migrated back and forth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from billing.bill import Bill
from billing.ledger import bills
from billing.ledger.engines import create_test_engine
from billing.origin import Origin
from billing.period import Period
from embedded.postgres import Postgres


@pytest.fixture(scope="module")
def tried(database_url: str) -> Iterator[Engine]:
    """The ledger of test mode in the same database."""
    made = create_test_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def open_test_bill(tried: Engine, origin: Origin) -> Callable[[], Bill]:
    def open_() -> Bill:
        instant = datetime.now(UTC)
        return bills.open_bill(tried, origin, "acme", Period(instant, instant + timedelta(days=60))).bill

    return open_


@pytest.fixture
def whole(postgres: Postgres, new_database: Callable[[], str]) -> Iterator[str]:
    """The address of a database with every migration, for one test."""
    url = new_database()
    yield url
    postgres.drop_database(url.rsplit("/", 1)[1])
