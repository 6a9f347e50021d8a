"""The sealed log where it was restored: from a physical backup, and from a dump that is put in order late."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from billing.ledger import bills, consistency, epochs, line_items, sealing, verification, webhook_backlog
from billing.ledger.engines import create_engine
from billing.ledger.seals import entries_in
from billing.ledger.verification import Known
from billing.origin import Origin
from billing.period import Period
from embedded.placement import place
from embedded.postgres import Postgres
from tests.conftest import migrate
from tests.support.backups import PostgresBackup
from tests.support.ledger import draft
from tests.support.sealed import happen, seal_all, stored, tamper
from tests.support.webhooks import made_endpoint

PASS_BY = "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"


@pytest.fixture
def directory(run_dir: Path) -> Path:
    made = run_dir / f"restored-log-{uuid4().hex[:8]}"
    made.mkdir()
    made.chmod(0o711)
    return made


@pytest.fixture
def server(directory: Path) -> Iterator[Postgres]:
    made = Postgres(directory, settings={"fsync": "off"}, tell=lambda _: None)
    made.start()
    yield made
    made.stop()


def kept(engine: Engine) -> Known:
    last = sealing.last(engine)
    assert last is not None
    return Known(last.number, last.hash)


def happens(engine: Engine, origin: Origin, name: str) -> int:
    """A new customer, a bill and an item: so many events."""
    now = datetime.now(UTC)
    opened = bills.open_bill(engine, origin, f"{name}-{uuid4().hex}", Period(now, now + timedelta(days=30))).bill
    line_items.add(engine, origin, opened.id, draft())
    return 3


def fill(engine: Engine, endpoint_id: UUID) -> None:
    for _ in range(10):
        webhook_backlog.fill(engine, endpoint_id, give_up_after=timedelta(days=3))


def queued(engine: Engine, endpoint_id: UUID) -> list[tuple[UUID, int]]:
    """What is queued for it, in that order."""
    query = "SELECT subject_id, version FROM webhook_deliveries WHERE endpoint_id = :id ORDER BY n"
    with engine.connect() as connection:
        return [(row.subject_id, row.version) for row in connection.execute(text(query), {"id": endpoint_id})]


def pass_by(engine: Engine, transactions: int) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(PASS_BY.format(transactions))


def test_from_a_physical_backup_it_holds_and_what_was_sealed_since_is_known_to_be_gone(
    directory: Path, server: Postgres, origin: Origin
) -> None:
    url = server.url()
    migrate(url)
    engine = create_engine(url)
    happen(engine, origin)
    seal_all(engine)
    before = kept(engine)
    backup = PostgresBackup(directory, server, directory / "backup")
    backup.take()
    happens(engine, origin, "lost")
    seal_all(engine)
    lost = kept(engine)
    engine.dispose()
    backup.restore()

    verdict = verification.verify(engine, before)
    assert (verdict.flaw, verdict.events, verdict.is_copied) == (None, len(stored(engine)), False)
    flaw = verification.verify(engine, lost).flaw
    assert flaw is not None
    assert flaw.kind is verification.Kind.CUT_OFF
    assert list(consistency.ledger_differences(engine)) == []

    epochs.begin(engine, "test", [])
    for n in range(3):
        happens(engine, origin, f"since-{n}")
    seal_all(engine)
    verdict = verification.verify(engine, before)
    assert (verdict.flaw, verdict.events, verdict.unsealed) == (None, len(stored(engine)), 0)
    assert len(verdict.restored_at) == 1
    flaw = verification.verify(engine, lost).flaw
    assert flaw is not None
    assert flaw.kind is verification.Kind.OTHER_SEAL
    engine.dispose()


class TestFromADump:
    """Put in order late: when the new server's transactions have come among those of the dump, or beyond them."""

    @pytest.fixture
    def engine(self, directory: Path, server: Postgres, origin: Origin, database_url: str) -> Iterator[Engine]:
        """On the new server. The log was sealed on the old one but for its last event, and a row was put in."""
        old = create_engine(database_url)
        pass_by(old, 3_000)
        happen(old, origin)
        self.endpoint, _ = made_endpoint(old, origin, "https://receiver.example/hooks")
        seal_all(old)
        happens(old, origin, "unsealed")
        fill(old, self.endpoint.id)
        programs, dump = place(directory, print).programs, directory / "dump"
        subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, "-d", database_url], check=True)
        self.kept, self.dumped = kept(old), len(stored(old))
        old.dispose()
        subprocess.run([programs / "pg_restore", "-d", server.url(), dump], check=True)
        made = create_engine(server.url())
        yield made
        made.dispose()

    @pytest.mark.parametrize("is_passed", [False, True])
    def test_what_happened_there_is_told_from_what_was_put_in(
        self, engine: Engine, origin: Origin, is_passed: bool
    ) -> None:
        at_once = verification.verify(engine, self.kept)
        assert (at_once.flaw, at_once.is_copied, at_once.unsealed) == (None, True, 3)

        new = happens(engine, origin, "among")
        if is_passed:
            pass_by(engine, 10_000)
            new += happens(engine, origin, "beyond")
        assert sealing.seal(engine) is None
        late = verification.verify(engine, self.kept)
        assert (late.flaw, late.is_copied, late.unsealed) == (None, True, 3 + new)
        (difference,) = consistency.ledger_differences(engine)
        assert difference.kind is consistency.Kind.LOG

        epochs.adopt_log(engine)
        seal_all(engine)
        happens(engine, origin, "afterwards")
        seal_all(engine)
        after = verification.verify(engine, self.kept)
        assert (after.flaw, after.is_copied, after.unsealed) == (None, False, 0)
        assert after.events == len(stored(engine)) == self.dumped + new + 3
        assert len(after.adopted_at) == 1
        assert list(consistency.ledger_differences(engine)) == []
        fill(engine, self.endpoint.id)
        assert queued(engine, self.endpoint.id) == [
            (row.subject_id, row.version) for row in stored(engine)[-3 - new - 3 :]
        ]
        # In the order in which it happened, those of the dump first.
        assert [row.seq for row in stored(engine)] == sorted(row.seq for row in stored(engine))

    def test_a_row_that_was_put_in_is_found_all_the_same(self, engine: Engine, origin: Origin) -> None:
        happens(engine, origin, "among")
        with engine.connect() as connection:
            packed = connection.execute(text("SELECT entries FROM audit_seals WHERE number = 3")).scalar_one()
        place_ = entries_in(packed)[1]
        columns = "type, subject_type, actor_kind, actor_id, actor_name, request_id, data, occurred_at"
        tamper(
            engine,
            f"INSERT INTO events (subject_id, version, xid, {columns})"
            f" SELECT gen_random_uuid(), 1, xid, {columns} FROM events WHERE seq = :seq",
            seq=place_.seq,
        )
        flaw = verification.verify(engine).flaw
        assert flaw is not None
        assert (flaw.kind, flaw.seal) == (verification.Kind.INSERTED, 3)
