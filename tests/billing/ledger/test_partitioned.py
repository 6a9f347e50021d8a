"""Tables split by bill: the tests of adding and closing as on whole tables, and not a line of the ledger differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Engine, text

from billing.ledger import line_items, reads, rollups
from billing.ledger.overview import standing
from billing.origin import Origin
from embedded.postgres import Postgres
from tests.billing.ledger.test_closing import *  # noqa: F403 - the same tests, on other tables
from tests.billing.ledger.test_line_items import *  # noqa: F403 - likewise
from tests.billing.ledger.test_links import *  # noqa: F403 - likewise
from tests.billing.ledger.test_references import *  # noqa: F403 - likewise
from tests.support.ledger import OpenBill, draft
from tests.support.partitioned import (
    KEYS_WITHOUT_THE_BILL,
    PARTITIONS,
    TABLES,
    WHOLE,
    foreign_keys,
    keys_without_the_bill,
    naming_a_bill,
    partition_by_bill,
)

# What names a bill by another word: the bill itself, and rows that may be of something else.
BY_ANOTHER_NAME = {"bills", "events", "idempotency_keys"}

KEY_OF_ROWS = "FOREIGN KEY (import_id) REFERENCES imports(id) ON DELETE CASCADE"

# It waits for a time-out, which tables have no part in.
del test_who_waits_five_seconds_for_a_twin_is_told_so  # noqa: F821 - imported above


@pytest.fixture(scope="module")
def database_url(postgres: Postgres, new_database: Callable[[], str]) -> Iterator[str]:
    url = new_database()
    partition_by_bill(url)
    yield url
    postgres.drop_database(url.rsplit("/", 1)[1])


def test_every_table_that_names_a_bill_is_split_or_known_to_stay_whole(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database()) as connection:
        assert naming_a_bill(connection) == (set(TABLES) - BY_ANOTHER_NAME) | WHOLE
        assert {says for _, _, says in foreign_keys(connection, WHOLE)} == {KEY_OF_ROWS}


def test_every_key_of_the_tables_of_bills_has_the_bills_id_but_its_number(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database()) as connection:
        assert keys_without_the_bill(connection) == KEYS_WITHOUT_THE_BILL


def test_bills_lie_in_all_partitions_and_one_is_read_from_one(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    for _ in range(30):
        line_items.add(engine, origin, open_bill().id, draft())
    with engine.connect() as connection:
        used = connection.execute(text("SELECT count(DISTINCT tableoid) FROM line_items")).scalar_one()
        bill_id = connection.execute(text("SELECT bill_id FROM line_items LIMIT 1")).scalar_one()
        plan = (
            connection.execute(
                text(f"EXPLAIN SELECT * FROM line_items WHERE bill_id = '{bill_id}' ORDER BY position DESC LIMIT 100")
            )
            .scalars()
            .all()
        )
        read = {part for part in range(PARTITIONS) if f"line_items_{part}" in "".join(plan)}

    assert used == PARTITIONS
    assert len(read) == 1


def test_the_log_is_followed_across_partitions(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    line_items.add(engine, origin, bill.id, draft())
    while rollups.follow(engine) == rollups.BATCH:
        pass

    with engine.connect() as connection:
        counted = connection.execute(text("SELECT sum(bills) FROM bill_states")).scalar_one()
        stored = connection.execute(text("SELECT count(*) FROM bills")).scalar_one()
    assert counted == stored
    assert standing(engine, patience=bill.period.end - bill.period.start).overdue.count == 0
    assert reads.bill(engine, bill.id).item_count == 1
