"""Test mode comes with a migration, and no connection leads to the other ledger."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from billing.errors import Unavailable
from billing.ledger import bill_list, bills, line_items, reads
from billing.ledger.bill_list import BillFilter
from billing.origin import Origin
from billing.period import Period
from migrations.losing import WouldBeLost
from migrations.mirror import SCHEMA, TABLES
from tests.conftest import migrate
from tests.support.ledger import draft, keyed
from tests.support.ledgers import both_ledgers
from webapp.identity import api_keys
from webapp.identity.roles import Role


class TestMigration:
    def test_those_who_come_in_by_keys_wait_for_the_last_step_alone(self, whole: str) -> None:
        migrate(whole, "0016", back=True)
        with both_ledgers(whole) as (engine, _), ThreadPoolExecutor(1) as aside:
            with engine.connect() as somebody:
                somebody.execute(text("SELECT 1 FROM api_keys")).all()
                migrating = aside.submit(migrate, whole)
                mirrored = None
                while mirrored is None:
                    assert not migrating.done()
                    time.sleep(0.05)
                    mirrored = somebody.execute(text(TABLES_OF_WHO_WAITS_FOR_KEYS)).scalar()
            migrating.result()
        assert mirrored >= len(TABLES)

    def test_what_is_there_stays_and_is_live(self, whole: str, origin: Origin) -> None:
        migrate(whole, "0016", back=True)
        with both_ledgers(whole) as (engine, _):
            with engine.begin() as connection:
                # As the version before makes them.
                account = "INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'old') RETURNING id"
                id_ = connection.execute(text(account)).scalar_one()
                connection.execute(
                    text(
                        "INSERT INTO api_keys (id, account_id, token_hash, hint, role, scopes)"
                        " VALUES (gen_random_uuid(), :id, 'hash', 'pave_abc', 'viewer', ARRAY['bills:read'])"
                    ),
                    {"id": id_},
                )
            instant = datetime.now(UTC)
            bill = bills.open_bill(engine, keyed(origin), "acme", Period(instant, instant + timedelta(days=30))).bill
            added, _, _ = line_items.add(engine, origin, bill.id, draft())
        migrate(whole)
        with both_ledgers(whole) as (engine, tried):
            assert reads.bill(engine, bill.id) == added
            assert [key.test for key in api_keys.every(engine)] == [False]
            again, _, _ = line_items.add(engine, origin, bill.id, draft())
            assert again.item_count == 2
            assert list(bill_list.in_batches(tried, BillFilter())) == []
            one = bills.open_bill(tried, keyed(origin), "acme", Period(instant, instant + timedelta(days=30))).bill
            assert one.test

    def test_back_again_its_keys_open_nothing(self, whole: str, origin: Origin) -> None:
        with both_ledgers(whole) as (engine, tried):
            instant = datetime.now(UTC)
            live = bills.open_bill(engine, origin, "acme", Period(instant, instant + timedelta(days=30))).bill
            bills.open_bill(tried, origin, "acme", Period(instant, instant + timedelta(days=30)))
            api_keys.create(engine, name="a", role=Role.VIEWER)
            api_keys.create(engine, name="b", role=Role.VIEWER, test=True)
            api_keys.create(engine, name="b", role=Role.VIEWER, test=True, customers=["acme"])
        with pytest.raises(WouldBeLost, match="test-mode"):
            migrate(whole, "0016", back=True)
        migrate(whole, "0016", back=True, lose="test-mode")
        with both_ledgers(whole) as (engine, _), engine.connect() as connection:
            query = text("SELECT revoked_at IS NOT NULL FROM api_keys ORDER BY id")
            assert connection.execute(query).scalars().all() == [False, True, True]
            told = text("SELECT count(*) FROM events WHERE type = 'api_key.revoked'")
            assert connection.execute(told).scalar_one() == 2
            assert connection.execute(text("SELECT id FROM bills")).scalars().all() == [live.id]
        migrate(whole)


# Who waits for the table of keys has this many new ones locked.
TABLES_OF_WHO_WAITS_FOR_KEYS = """
    SELECT (SELECT count(DISTINCT made.relation) FROM pg_locks made
            WHERE made.pid = waits.pid AND made.granted AND made.mode = 'AccessExclusiveLock')
    FROM pg_locks waits
    WHERE waits.relation = to_regclass('api_keys') AND NOT waits.granted
      AND waits.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_nothing_is_done_on_a_connection_that_leads_elsewhere(whole: str, origin: Origin) -> None:
    """As one through a pooler that drops the search path would."""
    migrate(whole, "0016", back=True)
    with both_ledgers(whole) as (engine, tried):
        instant = datetime.now(UTC)
        with pytest.raises(Unavailable):
            bills.open_bill(tried, origin, "acme", Period(instant, instant + timedelta(days=60)))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM customers")).scalar_one() == 0


def test_a_schema_of_the_roles_name_leads_no_live_call_away(whole: str) -> None:
    """PostgreSQL looks there first, unless it is told where."""
    with both_ledgers(whole) as (engine, tried):
        with engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA AUTHORIZATION CURRENT_USER"))
        engine.dispose()
        for ledger, schema in ((engine, "public"), (tried, SCHEMA)):
            with ledger.connect() as connection:
                assert connection.execute(text("SELECT current_schema()")).scalar_one() == schema


def test_nothing_live_is_done_on_a_connection_that_leads_elsewhere(whole: str, origin: Origin) -> None:
    with both_ledgers(whole) as (engine, tried):
        with engine.begin() as connection:
            connection.execute(text("ALTER SCHEMA public RENAME TO elsewhere"))
        instant = datetime.now(UTC)
        for ledger in (engine, tried):
            ledger.dispose()
        with pytest.raises(Unavailable):
            bills.open_bill(engine, origin, "acme", Period(instant, instant + timedelta(days=60)))
