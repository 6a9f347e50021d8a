"""`pave audit`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from billing.ledger import epochs, sealing
from billing.ledger.database import create_engine
from billing.origin import Origin
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
