"""The ledger of test mode: the same tables once more, with nothing of the one in the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.errors import BillNotFound
from billing.ledger import (
    bill_list,
    bills,
    closing,
    consistency,
    customers,
    events,
    feed,
    line_items,
    links,
    overview,
    quick_search,
    reads,
    rollups,
    settings,
)
from billing.ledger.bill_list import BillFilter
from billing.ledger.engines import create_test_engine
from billing.ledger.public_events import PUBLIC
from billing.origin import Origin, by_the_system
from billing.period import Period
from migrations.mirror import FUNCTIONS, SCHEMA, TABLES
from tests.support.ledger import OFFERED, OpenBill, draft
from tests.support.ledgers import both_ledgers

# The same for both modes: who may come in, rates, settings, and what looks after the live ledger.
SHARED = {
    "accounts", "alembic_version", "api_keys", "attempts", "audit_seals", "currencies", "findings", "ledger_epochs",
    "ledger_losses", "logos", "rate_refreshes", "rate_requests", "rate_snapshots", "reconciler", "recovery_codes",
    "second_factors", "seller", "sessions", "settings", "users", "worker_heartbeats",
}  # fmt: skip
# What test bills have beyond live ones.
CLOCK = {"clock_ahead", "ck_bills_clock_forward", "ix_bills_due_by_clock"}

COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity FROM information_schema.columns
    WHERE table_schema = :schema AND table_name = ANY(:tables)
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = CAST(:schema AS regnamespace) AND conrelid <> 0 AND contype <> 'n'
"""
INDEXES = (
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema AND tablename = ANY(:tables)"
)
OPTIONS = """
    SELECT relname, reloptions::text FROM pg_class
    WHERE relnamespace = CAST(:schema AS regnamespace) AND relname = ANY(:tables)
"""
BODIES = """
    SELECT proname, prosrc, proconfig::text, proargnames::text FROM pg_proc
    WHERE pronamespace = CAST(:schema AS regnamespace) AND proname = ANY(:functions)
"""


class TestTwins:
    @pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES, OPTIONS, BODIES])
    def test_a_table_and_its_twin_are_the_same(self, engine: Engine, query: str) -> None:
        live, twin = (described(engine, query, schema) for schema in ("public", SCHEMA))
        beyond = {row for row in twin if not CLOCK.isdisjoint(row)}
        assert twin - beyond == {row for row in live if row[0] in {*TABLES, *FUNCTIONS}}
        assert len(beyond) <= 1

    def test_every_table_has_a_twin_or_is_shared(self, engine: Engine) -> None:
        with engine.connect() as connection:
            query = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema")
            live, twins = ({*connection.execute(query, {"schema": s}).scalars()} for s in ("public", SCHEMA))
        assert twins == set(TABLES)
        assert live - twins - SHARED == set(), "belongs to TABLES of migrations/mirror.py, or to SHARED here"

    def test_no_twin_refers_to_a_live_bill(self, engine: Engine) -> None:
        with engine.connect() as connection:
            query = text(
                """
                SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid
                WHERE c.connamespace = CAST(:twins AS regnamespace) AND t.relnamespace = 'public'::regnamespace
                AND t.relname = ANY(:tables)
                """
            )
            assert connection.execute(query, {"twins": SCHEMA, "tables": list(TABLES)}).all() == []


def described(engine: Engine, query: str, schema: str) -> set[tuple[object, ...]]:
    """Without the schemas' names."""
    with engine.connect() as connection:
        asked = {"schema": schema, "tables": list(TABLES), "functions": list(FUNCTIONS)}
        rows = connection.execute(text(query), asked).all()
    return {
        tuple(v.replace(f"{SCHEMA}.", "").replace("public.", "") if isinstance(v, str) else v for v in row)
        for row in rows
    }


class TestWalls:
    def test_a_bill_of_one_mode_is_not_in_the_other(
        self, engine: Engine, tried: Engine, open_bill: OpenBill, open_test_bill: Callable[[], Bill], origin: Origin
    ) -> None:
        live, test = open_bill(), open_test_bill()
        assert (live.test, test.test) == (False, True)
        for ledger, own, other in ((engine, live, test), (tried, test, live)):
            line_items.add(ledger, origin, own.id, draft())
            for refused in (
                lambda: reads.bill(ledger, other.id),  # noqa: B023
                lambda: line_items.add(ledger, origin, other.id, draft()),  # noqa: B023
                lambda: bills.request_close(ledger, origin, other.id),  # noqa: B023
            ):
                with pytest.raises(BillNotFound):
                    refused()
            assert closing_refuses(ledger, other.id)
            found = {bill.id for batch in bill_list.in_batches(ledger, BillFilter()) for bill in batch}
            assert own.id in found
            assert other.id not in found
            assert other.id not in {bill.id for bill in quick_search.find(ledger, str(other.id)).bills}
            page = feed.page(ledger, None, feed.BEGINNING, PUBLIC.keys(), limit=100)
            assert str(other.id) not in str(page.events)

    def test_sums_of_the_overview_are_of_one_mode(
        self, engine: Engine, tried: Engine, open_bill: OpenBill, open_test_bill: Callable[[], Bill], origin: Origin
    ) -> None:
        line_items.add(engine, origin, open_bill().id, draft())
        for ledger in (engine, tried):
            while rollups.follow(ledger):
                pass
        before = overview.read(engine, currency="GEL", days=1, bills=100)
        test = open_test_bill()
        line_items.add(tried, origin, test.id, draft())
        for ledger in (engine, tried):
            rollups.follow(ledger)
        after = overview.read(engine, currency="GEL", days=1, bills=100)
        assert (after.accruing, after.states, after.accrual) == (before.accruing, before.states, before.accrual)
        assert test.id not in {bill.id for bill in after.closing_soon}
        assert overview.read(tried, currency="GEL", days=1, bills=100).accruing

    def test_a_customer_is_of_one_mode(self, engine: Engine, tried: Engine, origin: Origin) -> None:
        live, _ = customers.register(engine, origin, "of both", {"name": "Live"})
        test, _ = customers.register(tried, origin, "of both", {"name": "Test"})
        assert live.id != test.id
        assert reads.customer(engine, "of both").name == "Live"

    def test_what_is_shared_is_shared(self, engine: Engine, tried: Engine) -> None:
        for ledger in (engine, tried):
            assert settings.offered(ledger, ceiling=OFFERED) == settings.offered(engine, ceiling=OFFERED)

    def test_its_workflows_are_no_strangers(self, engine: Engine, open_test_bill: Callable[[], Bill]) -> None:
        assert consistency.without_a_bill(engine, [open_test_bill().id]) == []


def closing_refuses(ledger: Engine, bill_id: UUID) -> bool:
    try:
        closing.close_bill(ledger, by_the_system("test"), bill_id, samples=True)
    except BillNotFound:
        return True
    return False


class TestClocks:
    def test_a_clock_ends_with_its_transaction(self, tried: Engine, open_test_bill: Callable[[], Bill], origin: Origin):
        """Connections are shared: the next bill on it has its own."""
        ahead, other = open_test_bill(), open_test_bill()
        bills.advance_clock(tried, origin, ahead.id, datetime.now(UTC) + timedelta(days=30))
        for _ in range(20):
            _, late, _ = line_items.add(tried, origin, ahead.id, draft())
            _, now, _ = line_items.add(tried, origin, other.id, draft())
            assert timedelta(days=29) < late.created_at - now.created_at < timedelta(days=31)

    def test_it_is_as_far_ahead_as_it_was_advanced(
        self, tried: Engine, open_test_bill: Callable[[], Bill], origin: Origin
    ) -> None:
        bill = open_test_bill()
        advanced = bills.advance_clock(tried, origin, bill.id, datetime.now(UTC) + timedelta(days=5)).bill
        assert advanced.clock_ahead is not None
        assert timedelta(days=4, hours=23) < advanced.clock_ahead < timedelta(days=5, minutes=1)
        assert advanced.due_at == advanced.period.end - advanced.clock_ahead

    def test_it_cannot_be_set_back(self, tried: Engine, open_test_bill: Callable[[], Bill]) -> None:
        bill = open_test_bill()
        with tried.connect() as connection, pytest.raises(Exception, match="ck_bills_clock_forward"):
            connection.execute(text("UPDATE bills SET clock_ahead = '-1 s' WHERE id = :id"), {"id": bill.id})

    def test_the_next_end_is_that_of_the_bill_whose_clock_is_ahead(self, whole: str, origin: Origin) -> None:
        ledger = create_test_engine(whole)
        instant = datetime.now(UTC)
        opened = [
            bills.open_bill(ledger, origin, "acme", Period(instant, instant + timedelta(days=n))).bill for n in (10, 60)
        ]
        bills.advance_clock(ledger, origin, opened[1].id, instant + timedelta(days=59, hours=23))
        wait = closing.next_due(ledger)
        ledger.dispose()
        assert wait is not None
        assert timedelta(minutes=50) < wait < timedelta(hours=1, minutes=1)

    def test_links_of_a_bill_are_made_and_revoked_by_its_clock(
        self, tried: Engine, open_test_bill: Callable[[], Bill], origin: Origin
    ) -> None:
        bill, instant = open_test_bill(), datetime.now(UTC)
        bills.advance_clock(tried, origin, bill.id, instant + timedelta(days=30))
        link, _ = links.create(tried, origin, bill.id)
        links.revoke(tried, origin, bill.id, link.id)
        told = events.of_subject(tried, link.id, after_version=0, limit=2)
        assert [event.type for event in told] == ["link.created", "link.revoked"]
        assert all(event.occurred_at - instant >= timedelta(days=30) for event in told)

    def test_figures_of_the_overview_agree_whatever_the_clocks_say(
        self, tried: Engine, open_test_bill: Callable[[], Bill], origin: Origin
    ) -> None:
        """What a bill took on a day to come is in no column, so it is in no sum of the columns."""
        bill, today = open_test_bill(), datetime.now(UTC).date()
        line_items.add(tried, origin, bill.id, draft(currency="KWD"))
        bills.advance_clock(tried, origin, bill.id, datetime.now(UTC) + timedelta(days=30))
        for code in ("KWD", "JPY"):
            line_items.add(tried, origin, bill.id, draft(currency=code))
        while rollups.follow(tried):
            pass
        found = overview.read(tried, currency="KWD", days=30, bills=1)
        assert list(found.accrual) == [today]
        assert "KWD" in found.accrual_currencies
        assert "JPY" not in found.accrual_currencies

    def test_what_closes_soon_is_in_the_order_in_which_it_closes(self, whole: str, origin: Origin) -> None:
        instant = datetime.now(UTC)
        with both_ledgers(whole) as (_, tried):
            near, far, over = (
                bills.open_bill(tried, origin, "acme", Period(instant, instant + timedelta(days=n))).bill.id
                for n in (10, 60, 40)
            )
            bills.advance_clock(tried, origin, far, instant + timedelta(days=59))
            bills.advance_clock(tried, origin, over, instant + timedelta(days=40))
            soon = overview.read(tried, currency="GEL", days=1, bills=3).closing_soon
        assert [bill.id for bill in soon] == [far, near]
