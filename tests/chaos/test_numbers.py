"""Numbers with gaps, and bills that nobody was told of, by what PostgreSQL has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from billing.ledger import bills, closing
from billing.ledger.engines import create_engine
from billing.origin import Origin
from billing.period import Period
from tests.chaos.stored import number_differences, stored_bill, unknown_bills
from tests.chaos.test_views import BILL


@pytest.fixture
def ledger(new_database: Callable[[], str], origin: Origin) -> Iterator[Engine]:
    """Two closed bills and an open one."""
    engine, now = create_engine(new_database()), datetime.now(UTC)
    try:
        period = Period(now, now + timedelta(days=30))
        opened = [bills.open_bill(engine, origin, f"customer-{n}", period).bill.id for n in range(3)]
        for id_ in opened[:2]:
            bills.request_close(engine, origin, id_)
            closing.close_bill(engine, origin, id_, samples=True)
        yield engine
    finally:
        engine.dispose()


def changed(engine: Engine, statement: str) -> None:
    """Whatever rules the tables have: what is planted is what no caller can do."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount == 1


def test_numbers_without_gaps_have_no_difference(ledger: Engine) -> None:
    assert list(number_differences(ledger)) == []


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE bills SET number = 3 WHERE number = 2", "the numbers of closed bills have gaps"),
        ("UPDATE bills SET number = 0 WHERE number = 1", "the numbers of closed bills have gaps"),
        ("UPDATE counters SET last_value = 3 WHERE name = 'bill_number'", "3 numbers were given, 2 bills have one"),
        ("UPDATE counters SET last_value = 1 WHERE name = 'bill_number'", "1 numbers were given, 2 bills have one"),
    ],
)
def test_a_gap_in_the_numbers_is_told(ledger: Engine, statement: str, sentence: str) -> None:
    changed(ledger, statement)
    assert list(number_differences(ledger)) == [sentence]


def test_a_bill_that_nobody_was_told_of_is_told(ledger: Engine) -> None:
    with ledger.connect() as connection:
        ids = [str(id_) for id_ in connection.execute(text("SELECT id FROM bills")).scalars()]
    assert list(unknown_bills(ledger, set(ids))) == []
    assert list(unknown_bills(ledger, set(ids[1:]))) == [f"bill {ids[0]} is stored, and nobody was told of it"]
    assert stored_bill(ledger, ids[0]) is not None
    assert stored_bill(ledger, BILL) is None
