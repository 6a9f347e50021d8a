"""Migrations go forward and back with what is stored, end where the tables are, and let everybody write meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, text

from billing.bill import Seller
from billing.ledger import (
    bills,
    customers,
    events,
    line_items,
    links,
    reads,
    references,
    rollups,
    sealing,
    seller,
    settings,
    webhook_backlog,
    webhook_endpoints,
    webhook_queue,
    webhook_removal,
)
from billing.ledger.engines import create_engine
from billing.origin import Origin
from billing.period import Period
from embedded.postgres import Postgres
from migrations.losing import WouldBeLost
from tests.conftest import PROJECT, migrate
from tests.support.imports import carried_out, row, stored
from tests.support.ledger import OFFERED, draft, keyed
from tests.support.webhooks import made_endpoint, standing
from webapp.identity import api_keys, user_changes, users
from webapp.identity.roles import Role
from webapp.identity.scopes import OF_ROLE, Scope

HOT = {"events", "bills", "customers", "line_items"}
PASSWORD = "seven slow herons at noon"


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """The address of a database that holds nothing."""
    url = postgres.create_database(f"migrations_{uuid4().hex}")
    yield url
    postgres.drop_database(url.rsplit("/", 1)[1])


def test_migrations_and_tables_agree(whole: str) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": whole},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_back_to_nothing_and_forward_again(whole: str) -> None:
    migrate(whole, "base", back=True)
    migrate(whole)
    with connected(whole) as engine, engine.connect() as connection:
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
    assert tables > 10


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0009", "0010"])
def test_back_and_forward_everything_can_be_changed_on(whole: str, origin: Origin, revision: str) -> None:
    linking = keyed(origin)
    with connected(whole) as engine:
        instant = datetime.now(UTC)
        bill = bills.open_bill(engine, origin, "acme", Period(instant, instant + timedelta(days=30))).bill
        admin, _ = user_changes.add(engine, origin, email="a@example.com", password=PASSWORD, role=Role.ADMIN)
        guest, _ = user_changes.add(engine, origin, email="g@example.com", password=None, role=Role.VIEWER)
        known = links.create(engine, linking, bill.id)[0]
        change_everything(engine, origin, guest, bill.id)
    migrate(whole, revision, back=True)
    migrate(whole)
    with connected(whole) as engine:
        change_everything(engine, origin, guest, bill.id)
        link, is_replay = links.create(engine, linking, bill.id)
        assert is_replay is (revision > "0001")
        assert (link.id == known.id) is is_replay
        links.revoke(engine, origin, bill.id, link.id)
        assert users.verified(engine, "a@example.com", PASSWORD).id == admin
        assert users.verified(engine, "g@example.com", "") is None
        assert hash_of(engine, guest) is None
        rollups.follow(engine)


def test_all_links_are_kept_while_their_key_changes(whole: str, origin: Origin) -> None:
    with connected(whole) as engine:
        instant = datetime.now(UTC)
        opened = [bills.open_bill(engine, origin, n, Period(instant, instant + timedelta(days=30))).bill for n in "ab"]
        made = [links.create(engine, origin, bill.id)[0] for bill in (*opened, *opened)]
        links.revoke(engine, origin, made[0].bill_id, made[0].id)
        before, key = links_of(engine), key_of_links(engine)
    migrate(whole, "0009", back=True)
    with connected(whole) as engine:
        assert links_of(engine) == before
        assert (key, key_of_links(engine)) == ("PRIMARY KEY (bill_id, id)", "PRIMARY KEY (id)")
        # The code of today on the tables of before, as while a deployment lasts.
        assert links.live(engine, made[1].id) == made[1]
    migrate(whole)
    with connected(whole) as engine:
        assert (links_of(engine), key_of_links(engine)) == (before, key)
        assert links.live(engine, made[1].id) == made[1]


def test_keys_keep_what_their_role_opened_and_none_opens_more_afterwards(whole: str, origin: Origin) -> None:
    with connected(whole) as engine:
        customers.register(engine, origin, "acme", {})
        for role in Role:
            api_keys.create(engine, name=role, role=role)
        api_keys.create(engine, name="meter", scopes=[Scope.ITEMS_WRITE])
        api_keys.create(engine, name="bound", role=Role.OPERATOR, customers=["acme"])
    with pytest.raises(WouldBeLost, match=r"keys \(2\): no role describes what these API keys open"):
        migrate(whole, "0010", back=True)
    migrate(whole, "0010", back=True, lose="keys")
    with connected(whole) as engine, engine.begin() as connection:
        kept = connection.execute(text("SELECT role, revoked_at IS NULL FROM api_keys ORDER BY id")).all()
        # What the version before can't describe opens nothing there.
        assert kept == [("viewer", True), ("operator", True), ("admin", True), ("viewer", False), ("viewer", False)]
    migrate(whole)
    with connected(whole) as engine:
        keys = [key for key in api_keys.every(engine) if key.revoked_at is None]
        assert [key.scopes for key in keys] == [OF_ROLE[role] for role in Role]
        assert [key.customers for key in keys] == [()] * 3
        for key in api_keys.every(engine):
            log = [event.type for event in events.of_subject(engine, key.id, after_version=0, limit=9)]
            assert log == ["api_key.created", *(["api_key.revoked"] if key.revoked_at else [])]


def test_references_and_seals_go_only_when_that_is_asked_for(whole: str, origin: Origin) -> None:
    with connected(whole) as engine:
        now = datetime.now(UTC)
        bill = bills.open_bill(engine, origin, "acme", Period(now, now + timedelta(days=30))).bill
        order = replace(draft(), source="shop", reference="order-1")
        line_items.add(engine, origin, bill.id, order)
        assert sealing.seal(engine)
    for asked in ("", "references", "seal"):
        with pytest.raises(WouldBeLost, match=r"seals \(1\): the log would be sealed anew"):
            migrate(whole, "0012", back=True, lose=asked)
    with pytest.raises(WouldBeLost, match=r"references \(1\): what was charged by them would be charged again"):
        migrate(whole, "0012", back=True, lose="seals")
    migrate(whole)
    with connected(whole) as engine:
        assert references.taken(engine, bill.id, [("shop", "order-1")])
    migrate(whole, "0012", back=True, lose="seals,references")
    migrate(whole)
    with connected(whole) as engine:
        assert not references.taken(engine, bill.id, [("shop", "order-1")])
        assert len(reads.items_after(engine, bill.id, position=0, limit=9)) == 1


def test_webhook_endpoints_go_with_their_tables_and_can_be_made_anew(whole: str, origin: Origin) -> None:
    creating = keyed(origin)
    with connected(whole) as engine:
        made_endpoint(engine, creating, "https://receiver.example/hooks")
    migrate(whole, "0010", back=True)
    with connected(whole) as engine, engine.connect() as connection:
        left = text("SELECT count(*) FROM events WHERE subject_type = 'webhook_endpoint'")
        assert connection.execute(left).scalar_one() == 0
    migrate(whole)
    with connected(whole) as engine:
        endpoint, _ = made_endpoint(engine, creating, "https://receiver.example/hooks")
        assert [one.id for one in webhook_endpoints.every(engine)] == [endpoint.id]


def test_what_waits_in_the_log_for_a_webhook_is_queued_on_the_way_back(whole: str, origin: Origin) -> None:
    with connected(whole) as engine:
        instant = datetime.now(UTC)
        kept, _ = made_endpoint(engine, origin, "https://receiver.example/hooks", ("line_items.added",))
        deleted, _ = made_endpoint(engine, origin, "https://receiver.example/hooks")
        paused, _ = made_endpoint(engine, origin, "https://receiver.example/hooks")
        bill = bills.open_bill(engine, origin, "acme", Period(instant, instant + timedelta(days=30))).bill
        most = webhook_backlog.MOST_OF_A_BILL
        for _ in range(most + 5):
            line_items.add(engine, origin, bill.id, draft())
        webhook_backlog.fill(engine, kept.id, give_up_after=timedelta(days=3))
        assert standing(engine, kept.id) == {"pending": most}
        webhook_removal.remove(engine, origin, deleted.id)
        webhook_endpoints.pause(engine, origin, paused.id)
    migrate(whole, "0014", back=True)
    with connected(whole) as engine:
        assert standing(engine, kept.id) == {"pending": most + 5}
        assert {one.id for one in webhook_endpoints.every(engine)} == {kept.id, paused.id}
    migrate(whole)
    with connected(whole) as engine:
        webhook_backlog.fill(engine, kept.id, give_up_after=timedelta(days=3))
        assert standing(engine, kept.id) == {"pending": most + 5}
        # Its workflow may have slept all the time.
        assert paused.id in [one.id for one in webhook_queue.unattended(engine) if one.is_overdue]


def test_imports_go_with_their_tables_and_what_they_added_stays(whole: str, origin: Origin) -> None:
    sending = keyed(origin)
    with connected(whole) as engine:
        instant = datetime.now(UTC)
        bill = bills.open_bill(engine, origin, "acme", Period(instant, instant + timedelta(days=30))).bill
        one = stored(engine, sending, [row()], bill.id)
        carried_out(engine, str(one.id))
    with pytest.raises(WouldBeLost, match="imports"):
        migrate(whole, "0015", back=True)
    migrate(whole, "0015", back=True, lose="imports")
    with connected(whole) as engine, engine.connect() as connection:
        left = text("SELECT count(*) FROM events WHERE subject_type = 'import'")
        assert connection.execute(left).scalar_one() == 0
        assert reads.bill(engine, bill.id).item_count == 1
    migrate(whole)
    with connected(whole) as engine:
        # Its key is free again.
        carried_out(engine, str(stored(engine, sending, [row()], bill.id).id))
        assert reads.bill(engine, bill.id).item_count == 2


def links_of(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT * FROM share_links ORDER BY id")).all())


def key_of_links(engine: Engine) -> str:
    with engine.connect() as connection:
        of_links = "conrelid = 'share_links'::regclass AND contype = 'p'"
        named = text(f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE {of_links}")
        return str(connection.execute(named).scalar_one())


def change_everything(engine: Engine, origin: Origin, user_id: UUID, bill_id: UUID) -> None:
    """Several times, so that versions are far from where they begin."""
    for _ in range(3):
        for role in (Role.OPERATOR, Role.VIEWER):
            user_changes.change_role(engine, origin, user_id, role)
        for codes in (OFFERED[:2], OFFERED):
            settings.offer(engine, origin, codes, ceiling=OFFERED)
        seller.change(engine, origin, Seller(uuid4().hex, "", ""))
        links.revoke(engine, origin, bill_id, links.create(engine, origin, bill_id)[0].id)


def hash_of(engine: Engine, user_id: UUID) -> str | None:
    with engine.connect() as connection:
        return connection.execute(text("SELECT password_hash FROM users WHERE id = :id"), {"id": user_id}).scalar_one()


def test_no_table_that_everybody_writes_to_is_locked_while_it_is_read_whole(empty: str) -> None:
    migrate(empty, "0001")
    locks = text(
        "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE c.relname = ANY(:hot) AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND l.mode IN ('ShareLock', 'AccessExclusiveLock')"
    )
    kept: list[tuple[str, Any]] = []
    reading_whole: list[str] = []
    with connected(empty) as engine, engine.connect() as watcher:
        watcher.execution_options(isolation_level="AUTOCOMMIT")

        def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "pg_locks" not in statement:
                kept.extend((statement, tuple(lock)) for lock in watcher.execute(locks, {"hot": list(HOT)}))
                reading_whole.extend([statement] if reads_whole(statement) else [])

        with listening("after_cursor_execute", look):
            migrate(empty)
    assert kept == []
    assert reading_whole == []


def reads_whole(statement: str) -> bool:
    """A statement that reads one of these tables while it locks it, which is over before its locks can be seen."""
    words = statement.replace("(", " ").split()
    if not HOT & set(words):
        return False
    makes_index = statement.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")) and "CONCURRENTLY" not in words
    checks = statement.startswith("ALTER TABLE") and "ADD CONSTRAINT" in statement and "NOT VALID" not in statement
    return makes_index or (checks and words[2] in HOT)


@pytest.mark.parametrize(
    ("before", "invalid"),
    [
        ("VALIDATE CONSTRAINT", "none"),
        ("CREATE TABLE share_links", "none"),
        ("CREATE TABLE settings", "ix_customers_email"),
        ("ix_bills_number_or_zero", "ix_bills_period_end_id"),
        ("pk_share_links_to_be", "ix_share_links_id"),
        ("PRIMARY KEY USING INDEX", "none"),
        ("CREATE TABLE line_item_references", "none"),
        ("CREATE TABLE audit_seals", "ix_events_occurred_at_seq"),
    ],
)
def test_one_that_was_broken_off_can_be_repeated(empty: str, before: str, invalid: str) -> None:

    def break_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if before in statement:
            raise InterruptedError

    with listening("before_cursor_execute", break_off), pytest.raises(InterruptedError):
        migrate(empty)
    with connected(empty) as engine:
        with engine.begin() as connection:
            leave = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(:name)"
            left = connection.execute(text(leave), {"name": invalid}).rowcount
            assert left == (invalid != "none")
        migrate(empty)
        with engine.connect() as connection:
            half_done = (
                "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
                " UNION ALL SELECT conname FROM pg_constraint WHERE NOT convalidated"
            )
            assert connection.execute(text(half_done)).all() == []
            named = "SELECT count(*) FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid)"
            assert connection.execute(text(named), {"name": invalid}).scalar_one() == left


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def listening(name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(Engine, name, listener)
    try:
        yield
    finally:
        event.remove(Engine, name, listener)
