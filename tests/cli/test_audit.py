"""`pave audit`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from billing.ledger import epochs, events, sealing
from billing.ledger.engines import create_engine
from billing.origin import Actor, ActorKind, Origin
from cli import audit
from embedded.postgres import Postgres
from tests.support.sealed import entries, happen, seal_all, stored, tamper

Run = Callable[..., Result]


@pytest.fixture
def engine(postgres: Postgres, new_database: Callable[[], str], origin: Origin) -> Iterator[Engine]:
    url = new_database()
    made = create_engine(url)
    happen(made, origin)
    yield made
    made.dispose()
    postgres.drop_database(url.rsplit("/", 1)[1])


@pytest.fixture
def run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(audit, "engine", lambda: engine)
    return lambda *arguments: CliRunner().invoke(audit.audit, arguments)


def name(engine: Engine) -> str:
    last = sealing.last(engine)
    assert last is not None
    return last.name


def test_up_to_where_it_is_sealed(engine: Engine, run: Run) -> None:
    for _ in range(4):
        sealing.seal(engine, limit=5)
    kept = name(engine)
    done = run("verify", "--seal", kept)
    assert done.exit_code == 0
    told = done.output.splitlines()
    assert told[0].startswith("20 events as sealed, up to seal 4 of 20")
    assert told[1:] == [kept, "1 event not sealed yet", "seal 4 is the one that is known"]


def test_before_anything_is_sealed(engine: Engine, run: Run) -> None:
    done = run("verify")
    assert (done.exit_code, done.output) == (
        0, f"nothing is sealed yet\n{len(stored(engine))} events not sealed yet\n"
    )  # fmt: skip
    assert run("seal").exit_code == 1
    assert "nothing is sealed yet" in run("seal").output


def test_the_first_flaw_is_named(engine: Engine, run: Run) -> None:
    seal_all(engine)
    gone = entries(engine)[2][1]
    tamper(engine, "DELETE FROM events WHERE seq = :seq", seq=gone.seq)
    done = run("verify")
    assert done.exit_code == 1
    assert f"FOUND: event {gone.subject_id} version {gone.version} (seq {gone.seq}) is missing" in done.output
    assert "8 events as sealed, up to seal 2" in done.output


def test_a_cut_tail_is_found_by_the_seal_that_was_printed(engine: Engine, run: Run) -> None:
    seal_all(engine)
    kept = run("seal").stdout.strip()
    assert kept == name(engine)
    tamper(engine, "DELETE FROM audit_seals WHERE number > 4")
    tamper(engine, "DELETE FROM events WHERE seq > :seq", seq=entries(engine)[-1][-1].seq)
    assert run("verify").exit_code == 0
    done = run("verify", "--seal", kept)
    assert done.exit_code == 1
    assert "FOUND: seal 6 is known and missing: the log's end was cut off" in done.output


def test_after_a_restore_it_says_so(engine: Engine, run: Run) -> None:
    seal_all(engine)
    epochs.begin(engine, "test", [])
    assert "the ledger was restored from a backup before 20" in run("verify").output


@pytest.mark.parametrize("seal", ["7", "7:abc", "0:" + "a" * 64, "x:" + "a" * 64])
def test_what_is_no_seal_is_refused(run: Run, seal: str) -> None:
    done = run("verify", "--seal", seal)
    assert done.exit_code == 2
    assert "64 hexadecimal digits" in done.output


def test_the_export_is_the_log(engine: Engine, run: Run) -> None:
    log = list(stored(engine))
    lines = [json.loads(line) for line in run("export").stdout.splitlines()]
    assert [(line["xid"], line["seq"]) for line in reversed(lines)] == [(int(row.xid), row.seq) for row in log]
    for line, row in zip(reversed(lines), log, strict=True):
        assert line == {
            **{column: value for column, value in row._asdict().items() if column in line},
            "xid": int(row.xid),
            "subject_id": str(row.subject_id),
            "occurred_at": row.occurred_at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
        }
        assert line.keys() == row._asdict().keys()
    rows = list(csv.DictReader(io.StringIO(run("export", "--format", "csv").stdout.removeprefix("\ufeff"))))
    assert [row | {"data": json.loads(row["data"])} for row in rows] == [
        {column: value if column == "data" else str(value) for column, value in line.items()} for line in lines
    ]


class TestAnExportWithItsSeals:
    """What is needed to verify is in two files: no database is asked."""

    ODD = ("=1+1", "'=1+1", "''@x", "'plain", 'Zoë "quoted", \\ \r\n\t\x01 \u2028 </x>', " -3", "")

    @pytest.fixture(params=["csv", "ndjson"])
    def files(self, request: pytest.FixtureRequest, engine: Engine, run: Run, tmp_path: Path) -> tuple[Path, Path]:
        now = datetime.now(UTC)
        for odd in self.ODD:
            odd_origin = Origin(Actor(ActorKind.USER, odd, odd), uuid4(), odd)
            with engine.begin() as connection:
                data = {"text": odd, "scale": [1, {"b": None}], ', "data": ': odd}
                events.append(connection, odd_origin, "something.odd", ("user", uuid4()), 1, now, data)
        seal_all(engine)
        with engine.begin() as connection:
            events.append(connection, odd_origin, "something.later", ("user", uuid4()), 1, now, {})
        exported, seals = tmp_path / "log", tmp_path / "seals"
        done = run("export", "--format", request.param, "--seals", str(seals))
        assert done.exit_code == 0, done.output
        exported.write_bytes(done.stdout_bytes)
        return exported, seals

    @pytest.fixture
    def verified(self, run: Run, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Run:
        monkeypatch.setattr(audit, "engine", None)
        return lambda *arguments: run("verify", "--export", str(files[0]), "--seals", str(files[1]), *arguments)

    def changed(self, file: Path, change: Callable[[list[bytes]], object]) -> None:
        lines = file.read_bytes().splitlines(keepends=True)
        change(lines)
        file.write_bytes(b"".join(lines))

    def test_it_holds(self, engine: Engine, verified: Run) -> None:
        kept = name(engine)
        done = verified("--seal", kept)
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"{21 + len(self.ODD)} events as sealed, up to seal 7 of 20")
        assert "1 event not sealed yet\n" in done.output
        assert kept in done.output

    @pytest.mark.parametrize("part", [b"ledger-sync", b"line_items.added", b"2026-", b'"last_position": 5', b"GEL"])
    def test_a_changed_event(self, files: tuple[Path, Path], verified: Run, part: bytes) -> None:
        """The last one of the file is the oldest: of what was added, there is something in each."""
        whole = files[0].read_bytes()
        part = part if part in whole else part.replace(b'"', b'""')
        begins, _, ends = whole.rpartition(part)
        assert begins
        files[0].write_bytes(begins + part[:-1] + b"7" + ends)
        done = verified()
        assert done.exit_code == 1
        assert (
            "isn't over the events that were exported of its range" in done.output or "isn't one as they" in done.output
        )

    def test_an_event_taken_out_put_in_twice_or_all_of_the_first(self, files: tuple[Path, Path], verified: Run) -> None:
        whole = files[0].read_bytes()
        changes: list[Callable[[list[bytes]], object]] = [
            lambda lines: lines.pop(-3),
            lambda lines: lines.append(lines[-2]),
            lambda lines: lines.__delitem__(slice(-4, None)),
        ]
        for change, seal in zip(changes, (1, 1, 1), strict=True):
            self.changed(files[0], change)
            done = verified()
            assert done.exit_code == 1
            assert f"FOUND: seal {seal} isn't over the events that were exported" in done.output
            files[0].write_bytes(whole)

    def test_seals_changed_taken_out_or_cut_off(self, engine: Engine, files: tuple[Path, Path], verified: Run) -> None:
        kept, whole = name(engine), files[1].read_bytes()
        for old, new in ((b'"count": 4', b'"count": 3'), (b'"sealed_at": "20', b'"sealed_at": "19')):
            files[1].write_bytes(whole.replace(old, new, 1))
            assert "FOUND: seal 1 was changed" in verified().output
        files[1].write_bytes(whole)
        self.changed(files[1], lambda lines: lines.pop(2))
        assert "FOUND: seal 3 is missing" in verified().output
        files[1].write_bytes(whole)
        self.changed(files[1], lambda lines: lines.pop())
        assert verified().exit_code == 0
        assert "FOUND: seal 7 is known and missing" in verified("--seal", kept).output

    def test_what_is_neither(self, files: tuple[Path, Path], verified: Run, run: Run) -> None:
        whole = files[1].read_text()
        files[1].write_text("{}\n")
        assert "not the head of a seal" in verified().output
        files[1].write_text(whole)
        files[0].write_text("nothing,of\r\nthis,kind\r\n")
        assert "event 1 of the file isn't one as they are exported" in verified().output
        assert run("verify", "--export", str(files[0])).exit_code == 2

    def test_the_seals_of_a_part_would_say_nothing(self, run: Run, tmp_path: Path) -> None:
        assert run("export", "--type", "bill.closed", "--seals", str(tmp_path / "seals")).exit_code == 2

    def test_after_the_log_was_brought_into_another_order(
        self, engine: Engine, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seal_all(engine)
        with engine.begin() as connection:
            sealing.begin_anew(connection)
            connection.execute(text("UPDATE events SET xid = '3'"))
        seal_all(engine)
        exported, seals = tmp_path / "log", tmp_path / "seals"
        exported.write_bytes(run("export", "--seals", str(seals)).stdout_bytes)
        monkeypatch.setattr(audit, "engine", None)
        done = run("verify", "--export", str(exported), "--seals", str(seals))
        assert (done.exit_code, done.output.startswith("21 events as sealed, up to seal 13 ")) == (0, True), done.output


def test_a_part_of_it(engine: Engine, run: Run) -> None:
    def count(*arguments: str) -> int:
        return len(run("export", *arguments).stdout.splitlines())

    bill = entries_of_bill(engine)
    assert count("--type", "line_items.added") == 15
    assert count("--subject", bill, "--type", "line_items.added") == 5
    assert count("--actor", "ledger-sync") == 21
    assert count("--actor", "nobody") == 0
    today = datetime.now(UTC).date()
    assert count("--to", str(today - timedelta(days=2))) == 0
    assert count("--from", str(today - timedelta(days=2)), "--to", str(today + timedelta(days=1))) == 21


def entries_of_bill(engine: Engine) -> str:
    return str(next(row.subject_id for row in stored(engine) if row.type == "bill.created"))
