"""One server for the file: making its data takes a second."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from embedded import placement, process_table
from embedded.postgres import Postgres
from tests.support.stopwatch import stopwatch

START_AND_WAIT = """
import sys, time; from pathlib import Path; from embedded.postgres import Postgres
from tests.support.stopwatch import stopwatch
server = Postgres(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(60)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another user")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def server(home: Path) -> Iterator[Postgres]:
    postgres = Postgres(home)
    postgres.start()
    query(postgres, "CREATE TABLE IF NOT EXISTS word (word text PRIMARY KEY)")
    yield postgres
    postgres.stop()


def query(server: Postgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def store(server: Postgres, word: str) -> None:
    query(server, f"INSERT INTO word VALUES ('{word}')")


def stored(server: Postgres, word: str) -> bool:
    return bool(query(server, f"SELECT 1 FROM word WHERE word = '{word}'"))


def test_data_and_port_are_the_same_after_a_stop(server: Postgres, home: Path) -> None:
    store(server, "stopped")
    server.stop()
    again = Postgres(home)
    again.start()
    try:
        assert again.url() == server.url()
        assert stored(again, "stopped")
    finally:
        again.stop()


def test_what_was_committed_is_there_after_all_its_processes_were_killed(server: Postgres) -> None:
    address = server.url()
    store(server, "killed")
    server.kill()
    assert not server.running
    server.start()
    assert server.url() == address
    assert stored(server, "killed")


def test_it_stops_though_a_client_stays_connected(server: Postgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("SELECT 1")
        with stopwatch() as took:
            server.stop()
        assert took.s < 5


def test_commits_are_on_disk_and_clocks_on_utc(server: Postgres) -> None:
    names = "fsync", "synchronous_commit", "timezone", "server_encoding", "max_connections"
    values = [query(server, f"SHOW {name}")[0][0] for name in names]
    assert values == ["on", "on", "UTC", "UTF8", "200"]


def test_nobody_gets_in_without_the_password(server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url().replace("pave:", "pave:x"))


def test_a_database_is_made_from_another_and_dropped_with_its_clients(server: Postgres) -> None:
    store(server, "copied")
    copy = server.create_database("copy", template="billing")
    with psycopg.connect(copy, autocommit=True) as connection:
        assert connection.execute("SELECT 1 FROM word WHERE word = 'copied'").fetchone() is not None
        server.drop_database("copy")


def test_a_server_whose_owner_was_killed_ends_before_the_next_start(home: Path) -> None:
    command = [sys.executable, "-c", START_AND_WAIT, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        orphan = process_table.identify(int(owner.stdout.readline()))
        owner.kill()
    server = Postgres(home)
    server.start()
    assert orphan is not None
    assert not orphan.alive
    server.stop()


@pytest.mark.parametrize("recorded", [True, False])
def test_an_orphan_is_ended_by_its_record_or_by_its_data(server: Postgres, home: Path, *, recorded: bool) -> None:
    store(server, f"orphan {recorded}")
    if not recorded:
        (server.home / "postgres.process.json").unlink()
    second = Postgres(home)
    second.start()
    assert not server.running
    assert stored(second, f"orphan {recorded}")
    second.stop()
    server.kill()


def test_a_stranger_with_the_number_of_a_former_server_is_left_alone(server: Postgres) -> None:
    server.kill()
    lock = server.home / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(stranger.pid), 1))
        server.start()
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)


def test_half_made_data_is_made_anew(data_dir: Path) -> None:
    half = data_dir / "postgres" / "data.new"
    half.mkdir(parents=True)
    half.parent.chmod(0o711)
    (half / "PG_VERSION").write_text("18")
    server = Postgres(data_dir, settings={"fsync": "off"})
    server.start()
    server.stop()
    assert not half.exists()


@as_root
def test_data_that_its_user_cannot_reach_goes_outside(
    data_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "OUTSIDE", home / "outside")
    data_dir.chmod(0o700)
    told: list[str] = []
    server = Postgres(data_dir, settings={"fsync": "off"}, tell=told.append)
    server.start()
    query(server, "CREATE TABLE word (word text)")
    server.stop()
    assert server.home.is_relative_to(home / "outside")
    assert str(server.home) in told[0]
    # Though it could be reached now: the data is where it is.
    data_dir.chmod(0o711)
    server = Postgres(data_dir, tell=told.append)
    server.start()
    assert query(server, "SELECT * FROM word") == []
    server.stop()
