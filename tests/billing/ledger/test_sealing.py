"""Seals follow the event log: every event once, in its order, none that a late commit could come before."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from billing.ledger import audit_log, bills, epochs, events, line_items, sealing, verification
from billing.ledger.audit_log import LogFilter
from billing.ledger.database import snapshot, transaction
from billing.ledger.engines import create_engine
from billing.ledger.seals import CONTENT, ENTRY
from billing.ledger.tables.log import EventRow
from billing.origin import Actor, ActorKind, Origin
from billing.period import Period
from embedded.postgres import Postgres
from tests.support.ledger import draft
from tests.support.sealed import entries, happen, seal_all, stored

ODD = 'Zoë "quoted" \\ back\n\t\x01\x7f </script> \N{GEORGIAN LETTER AN}\N{PILE OF POO}'
OTHER_SETTINGS = (
    "SET datestyle = 'German, DMY'", "SET timezone = 'Asia/Tbilisi'", "SET extra_float_digits = 0",
    "SET bytea_output = 'escape'", "SET intervalstyle = 'sql_standard'", "SET lc_numeric = 'C'",
)  # fmt: skip


@pytest.fixture
def engine(postgres: Postgres, new_database: Callable[[], str]) -> Iterator[Engine]:
    """A log of its own for each test."""
    url = new_database()
    made = create_engine(url)
    yield made
    made.dispose()
    postgres.drop_database(url.rsplit("/", 1)[1])


def test_every_event_is_sealed_once_in_the_order_of_the_log(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    seal_all(engine)
    sealed = [entry for batch in entries(engine) for entry in batch]
    assert [(e.subject_id, e.version, e.seq, e.xid) for e in sealed] == [
        (row.subject_id, row.version, row.seq, int(row.xid)) for row in stored(engine)
    ]
    assert len(entries(engine)) > 4
    last = sealing.last(engine)
    assert last is not None
    assert last.name == f"{len(entries(engine))}:{last.hash.hex()}"


def test_nothing_to_seal_makes_no_seal(engine: Engine, origin: Origin) -> None:
    assert sealing.seal(engine) is None
    assert sealing.last(engine) is None
    happen(engine, origin)
    seal_all(engine, limit=1_000)
    assert sealing.seal(engine) is None
    assert len(entries(engine)) == 1


def test_no_column_of_an_event_is_left_out() -> None:
    sealed = {column.partition("::")[0] for column in CONTENT} | {"occurred_at", "xid"}
    assert {column.name for column in EventRow.__table__.columns} == sealed - {"extract(epoch FROM occurred_at)"}


def test_anybody_can_make_an_entry_again_from_an_export(engine: Engine, origin: Origin) -> None:
    odd = Origin(Actor(ActorKind.USER, ODD, ODD), uuid4(), ODD)
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        data = {"text": ODD, "n": 1, "deep": [{"b": None, "a": [True, "1.10"]}]}
        events.append(connection, odd, "something.odd", ("user", uuid4()), 1, now.replace(microsecond=70), data)
        connection.execute(text("UPDATE events SET data = data || '{\"scale\": 1.10}'"))
    seal_all(engine)
    (logged,) = audit_log.events(engine, LogFilter(), limit=2)
    event = logged.event
    since_1970 = (event.occurred_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    content = [
        str(event.subject_id), str(event.version), event.subject_type, event.type, event.actor.kind, event.actor.id,
        event.actor.name, event.request_id, logged.data, f"{since_1970 // 10**6}.{since_1970 % 10**6:06}",
        str(event.position.seq),
    ]  # fmt: skip
    made_again = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).digest()
    assert entries(engine)[0][0].content == made_again


def test_an_entry_is_the_same_whatever_a_session_is_set_to(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    query = text(f"SELECT {ENTRY} FROM events ORDER BY xid, seq")
    with engine.connect() as connection:
        usual = [bytes(entry) for entry in connection.execute(query).scalars()]
        for setting in OTHER_SETTINGS:
            connection.execute(text(setting))
        assert [bytes(entry) for entry in connection.execute(query).scalars()] == usual
        connection.invalidate()


def test_what_a_late_commit_could_come_before_waits(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    seal_all(engine)
    before = len(stored(engine))
    now = datetime.now(UTC)
    with engine.connect() as late:
        subject = uuid4()
        with late.begin():
            events.append(late, origin, "something.late", ("user", subject), 1, now)
            opened = bills.open_bill(engine, origin, "quick", Period(now, now + timedelta(days=1))).bill
            line_items.add(engine, origin, opened.id, draft())
            assert sealing.seal(engine) is None
            assert sealing.standing(engine).waiting == len(stored(engine)) - before == 3
    seal_all(engine)
    last = entries(engine)[-1]
    assert last[0].subject_id == subject
    assert sealing.standing(engine).waiting == 0
    assert verification.verify(engine).flaw is None


def test_two_workers_seal_every_event_once_beside_those_who_write(engine: Engine, origin: Origin) -> None:
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            sealing.seal(engine, limit=3)

    workers = [threading.Thread(target=go_on) for _ in range(2)]
    for worker in workers:
        worker.start()
    now = datetime.now(UTC)

    def write(n: int) -> None:
        opened = bills.open_bill(engine, origin, f"w-{n}", Period(now, now + timedelta(days=30))).bill
        for _ in range(20):
            line_items.add(engine, origin, opened.id, draft())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    done.set()
    for worker in workers:
        worker.join(60)
    seal_all(engine)
    verdict = verification.verify(engine)
    assert (verdict.flaw, verdict.events, verdict.unsealed) == (None, 4 * 22, 0)


def test_while_one_seals_another_does_not_wait(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    with transaction(engine) as busy:
        busy.execute(sealing._LOCK)
        assert sealing.seal(engine) is None
    assert sealing.seal(engine) is not None


def test_a_log_that_is_adopted_is_sealed_anew_in_a_series_of_its_own(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    epochs.adopt_log(engine)
    assert sealing.last(engine) is None
    seal_all(engine)
    count = len(entries(engine))
    epochs.adopt_log(engine)
    last = sealing.last(engine)
    assert last is not None
    assert (last.number, last.series, last.count) == (count + 1, 2, 0)
    seal_all(engine)
    assert len(entries(engine)) == 2 * count + 1
    assert sealing.standing(engine).waiting == 0


def test_the_seal_of_an_event_is_found(engine: Engine, origin: Origin) -> None:
    happen(engine, origin)
    seal_all(engine)
    now = datetime.now(UTC)
    bills.open_bill(engine, origin, "new", Period(now, now + timedelta(days=1)))
    for number, batch in enumerate(entries(engine), 1):
        for entry in batch:
            assert audit_log.event(engine, *entry.subject).seal == number
    (newest,) = audit_log.events(engine, LogFilter(), limit=1)
    assert audit_log.event(engine, newest.event.subject_id, newest.event.version).seal is None
    with pytest.raises(audit_log.EventNotFound):
        audit_log.event(engine, uuid4(), 1)


def test_how_far_the_log_is_sealed(engine: Engine, origin: Origin) -> None:
    assert sealing.standing(engine) == sealing.Standing(None, 0, None)
    happen(engine, origin)
    made = sealing.seal(engine, limit=4)
    standing = sealing.standing(engine)
    assert standing.last
    assert made
    assert standing.last.name == made.name
    assert standing.waiting == len(stored(engine)) - 4
    with snapshot(engine) as connection:
        waits = text("SELECT now() - min(occurred_at) FROM (SELECT * FROM events ORDER BY xid, seq OFFSET 4) AS rest")
        waited = connection.execute(waits).scalar_one()
    assert standing.waited
    assert timedelta() < standing.waited < waited
