"""What somebody does to the log who can write to the database is found, and the first row of it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from billing.ledger import bills, sealing, verification
from billing.ledger.database import transaction
from billing.ledger.engines import create_engine
from billing.ledger.seals import Entry
from billing.ledger.tables.audit import SealRow
from billing.ledger.tables.log import EventRow
from billing.ledger.verification import Kind, Known
from billing.origin import Origin
from billing.period import Period
from embedded.postgres import Postgres
from tests.support.sealed import BATCH, entries, happen, seal_all, stored, tamper

ROW = "subject_id = :id AND version = :version"
OF_EVENTS = {
    "subject_id": "gen_random_uuid()",
    "version": "version + 100",
    "subject_type": "'customer'",
    "type": "'bill.closed'",
    "actor_kind": "'user'",
    "actor_id": "actor_id || ' '",
    "actor_name": "'somebody else'",
    "request_id": "'another'",
    "data": "data || '{\"more\": 1}'",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "xid": "(xid::text::bigint + 1)::text::xid8",
    "seq": "seq + 1000000",
}
OF_SEALS = {
    "number": "number + 100",
    "series": "series + 1",
    "after_xid": "after_xid - 1",
    "after_seq": "after_seq - 1",
    "last_xid": "last_xid + 1",
    "last_seq": "last_seq + 1",
    "count": "count + 1",
    "sealed_at": "sealed_at + interval '1 second'",
    "previous": "sha256(previous)",
    "hash": "sha256(hash)",
    "entries": "sha256('x') || substr(entries, 33)",
}
# Who drops a table's constraints can write what they forbid.
UNBOUND = "ALTER TABLE audit_seals DROP CONSTRAINT ck_audit_seals_entries_counted"
IDENTITY = "ALTER TABLE events ALTER seq DROP IDENTITY"
COPIED = "type, subject_type, actor_kind, actor_id, actor_name, request_id, data, occurred_at"


@pytest.fixture(autouse=True)
def several_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "AT_ONCE", 2)


@pytest.fixture
def engine(postgres: Postgres, new_database: Callable[[], str], origin: Origin) -> Iterator[Engine]:
    """A log of its own for each test, all of it sealed."""
    url = new_database()
    made = create_engine(url)
    happen(made, origin)
    seal_all(made)
    yield made
    made.dispose()
    postgres.drop_database(url.rsplit("/", 1)[1])


@pytest.fixture
def middle(engine: Engine) -> Entry:
    """The second event of the third seal."""
    return entries(engine)[2][1]


def known(engine: Engine) -> Known:
    last = sealing.last(engine)
    assert last is not None
    return Known(last.number, last.hash)


def found(engine: Engine, kept: Known | None = None) -> tuple[Kind, int, tuple[object, int] | None] | None:
    """Kind, seal and event of the first flaw."""
    flaw = verification.verify(engine, kept).flaw
    return flaw and (flaw.kind, flaw.seal, flaw.entry and flaw.entry.subject)


def named(entry: Entry) -> dict[str, object]:
    return {"id": entry.subject_id, "version": entry.version}


def test_what_nobody_touched_holds(engine: Engine) -> None:
    seen: list[int] = []
    verdict = verification.verify(engine, known(engine), heed=lambda seal: seen.append(seal.number))
    assert (verdict.flaw, verdict.events, verdict.unsealed) == (None, len(stored(engine)), 0)
    assert verdict.upto.name == f"{known(engine).number}:{known(engine).hash.hex()}"
    assert seen == list(range(1, len(entries(engine)) + 1))


def test_an_empty_log_holds(postgres: Postgres, new_database: Callable[[], str]) -> None:
    made = create_engine(new_database())
    verdict = verification.verify(made)
    assert (verdict.flaw, verdict.events, verdict.upto.number) == (None, 0, 0)
    made.dispose()


def test_what_came_since_is_counted(engine: Engine, origin: Origin) -> None:
    now = datetime.now(UTC)
    bills.open_bill(engine, origin, "new", Period(now, now + timedelta(days=1)))
    verdict = verification.verify(engine)
    assert (verdict.flaw, verdict.unsealed) == (None, 2)


def test_every_column_is_tried() -> None:
    assert OF_EVENTS.keys() == {column.name for column in EventRow.__table__.columns}
    assert OF_SEALS.keys() == {column.name for column in SealRow.__table__.columns}


@pytest.mark.parametrize("column", OF_EVENTS)
def test_a_changed_column_of_an_event(engine: Engine, middle: Entry, column: str) -> None:
    changed = f"UPDATE events SET {column} = {OF_EVENTS[column]} WHERE {ROW}"
    tamper(engine, IDENTITY, changed, **named(middle))
    assert found(engine) == (Kind.CHANGED, 3, middle.subject)
    verdict = verification.verify(engine)
    assert (verdict.upto.number, verdict.events) == (2, 2 * BATCH)


@pytest.mark.parametrize("column", OF_SEALS)
def test_a_changed_column_of_a_seal(engine: Engine, column: str) -> None:
    changed = f"UPDATE audit_seals SET {column} = {OF_SEALS[column]} WHERE number = 3"
    tamper(engine, UNBOUND, changed)
    kind = Kind.SEAL_MISSING if column == "number" else Kind.SEAL_CHANGED
    assert found(engine) == (kind, 3, None)


@pytest.mark.parametrize("entries_", ["''", "substr(entries, 2)", "entries || entries"])
def test_a_seal_of_another_length(engine: Engine, entries_: str) -> None:
    tamper(engine, UNBOUND, f"UPDATE audit_seals SET entries = {entries_} WHERE number = 3")
    assert found(engine) == (Kind.SEAL_CHANGED, 3, None)


def test_an_instant_before_our_era_is_not_the_same_year(engine: Engine, middle: Entry) -> None:
    tamper(engine, f"UPDATE events SET occurred_at = occurred_at - interval '4051 years' WHERE {ROW}", **named(middle))
    assert found(engine) == (Kind.CHANGED, 3, middle.subject)


@pytest.mark.parametrize("place", [0, 1, BATCH - 1])
def test_a_row_taken_out(engine: Engine, place: int) -> None:
    gone = entries(engine)[2][place]
    tamper(engine, f"DELETE FROM events WHERE {ROW}", **named(gone))
    assert found(engine) == (Kind.MISSING, 3, gone.subject)


def test_the_first_of_two_is_named(engine: Engine) -> None:
    changed, gone = entries(engine)[1][3], entries(engine)[2][0]
    tamper(engine, f"DELETE FROM events WHERE {ROW}", **named(gone))
    tamper(engine, f"UPDATE events SET request_id = 'x' WHERE {ROW}", **named(changed))
    assert found(engine) == (Kind.CHANGED, 2, changed.subject)


@pytest.mark.parametrize("seq", ["seq", "seq + 1", "seq - 1"])
def test_a_row_put_in(engine: Engine, middle: Entry, seq: str) -> None:
    """Also with a number that another has."""
    copy = f"""
        INSERT INTO events (subject_id, version, xid, seq, {COPIED}) OVERRIDING SYSTEM VALUE
        SELECT '00000000-0000-7000-8000-000000000000', 1, xid, {seq}, {COPIED} FROM events WHERE {ROW}
    """
    tamper(engine, copy, **named(middle))
    kind, seal, subject = found(engine) or (None, 0, None)
    assert (kind, seal) == (Kind.INSERTED, 3)
    assert str(subject and subject[0]) == "00000000-0000-7000-8000-000000000000"


def test_a_thousand_rows_put_in(engine: Engine, middle: Entry) -> None:
    copy = f"""
        INSERT INTO events (subject_id, version, xid, seq, {COPIED}) OVERRIDING SYSTEM VALUE
        SELECT '00000000-0000-7000-8000-000000000000', n, xid, seq, {COPIED}
        FROM events, generate_series(1, 1000) AS n WHERE {ROW}
    """
    tamper(engine, copy, **named(middle))
    flaw = found(engine)
    assert flaw is not None
    assert flaw[:2] == (Kind.INSERTED, 3)


def test_contents_of_two_rows_exchanged(engine: Engine) -> None:
    one, other = entries(engine)[2][1], entries(engine)[3][2]
    exchanged = """
        UPDATE events e SET actor_name = o.actor_name, request_id = o.request_id, data = o.data || '{"n": 1}'
        FROM events o WHERE (e.subject_id, e.version, o.subject_id, o.version) IN
            ((:id, :version, :other_id, :other_version), (:other_id, :other_version, :id, :version))
    """
    tamper(engine, exchanged, **named(one), other_id=other.subject_id, other_version=other.version)
    assert found(engine) == (Kind.CHANGED, 3, one.subject)


@pytest.mark.parametrize("columns", ["xid, seq", "subject_id, version", "subject_id, version, xid, seq"])
def test_places_of_two_rows_exchanged(engine: Engine, columns: str) -> None:
    one, other = entries(engine)[2][1], entries(engine)[2][2]
    if columns == "subject_id, version, xid, seq":
        columns = "subject_type, type, actor_kind, actor_id, actor_name, request_id, data, occurred_at, xid"
    others = ", ".join(f"o.{column.strip()}" for column in columns.split(","))
    exchanged = f"""
        UPDATE events e SET ({columns}) = ({others})
        FROM events o WHERE (e.seq, o.seq) IN ((:one, :other), (:other, :one))
    """
    key = "ALTER TABLE events DROP CONSTRAINT pk_events"
    tamper(engine, IDENTITY, key, exchanged, one=one.seq, other=other.seq)
    assert found(engine) == (Kind.CHANGED, 3, one.subject)


def test_a_row_moved_to_the_end(engine: Engine, middle: Entry) -> None:
    tamper(engine, f"UPDATE events SET xid = pg_current_xact_id() WHERE {ROW}", **named(middle))
    assert found(engine) == (Kind.CHANGED, 3, middle.subject)


@pytest.mark.parametrize("number", [1, 3])
def test_a_seal_taken_out(engine: Engine, number: int) -> None:
    tamper(engine, f"DELETE FROM audit_seals WHERE number = {number}")
    assert found(engine) == (Kind.SEAL_MISSING, number, None)


def test_a_seal_taken_out_and_those_behind_it_moved_up(engine: Engine) -> None:
    tamper(engine, "DELETE FROM audit_seals WHERE number = 3", "UPDATE audit_seals SET number = 3 WHERE number = 4")
    assert found(engine) == (Kind.SEAL_CHANGED, 3, None)


def test_seals_in_another_order(engine: Engine) -> None:
    tamper(
        engine, *(f"UPDATE audit_seals SET number = {to} WHERE number = {n}" for n, to in ((2, 99), (3, 2), (99, 3)))
    )
    assert found(engine) == (Kind.SEAL_CHANGED, 2, None)


def cut_tail(engine: Engine) -> None:
    """The last two seals, and all that happened since the one before them."""
    tamper(
        engine,
        "DELETE FROM audit_seals WHERE number > (SELECT max(number) - 2 FROM audit_seals)",
        """
        DELETE FROM events WHERE (xid, seq) > (
            SELECT last_xid::text::xid8, last_seq FROM audit_seals ORDER BY number DESC LIMIT 1)
        """,
    )


def test_a_tail_cut_off_is_seen_by_who_kept_a_seal_of_it(engine: Engine) -> None:
    kept = known(engine)
    cut_tail(engine)
    assert found(engine) is None
    assert found(engine, kept) == (Kind.CUT_OFF, kept.number, None)


def test_and_so_it_is_once_more_has_happened(engine: Engine, origin: Origin) -> None:
    kept = known(engine)
    cut_tail(engine)
    now = datetime.now(UTC)
    for n in range(8):
        bills.open_bill(engine, origin, f"later-{n}", Period(now, now + timedelta(days=1)))
    seal_all(engine)
    assert found(engine) is None
    assert found(engine, kept) == (Kind.OTHER_SEAL, kept.number, None)


def test_events_of_a_tail_cut_off_without_their_seals_are_missed(engine: Engine) -> None:
    last = entries(engine)[-1][0]
    tamper(engine, f"DELETE FROM events WHERE {ROW}", **named(last))
    assert found(engine) == (Kind.MISSING, len(entries(engine)), last.subject)


def test_a_log_sealed_anew_from_a_row_on_is_seen_by_who_kept_a_seal(engine: Engine, middle: Entry) -> None:
    kept = known(engine)
    tamper(engine, f"UPDATE events SET actor_name = 'x' WHERE {ROW}", **named(middle))
    tamper(engine, "DELETE FROM audit_seals WHERE number >= 3")
    seal_all(engine)
    assert found(engine) is None
    assert found(engine, kept) == (Kind.OTHER_SEAL, kept.number, None)
    assert found(engine, Known(1, kept.hash)) == (Kind.OTHER_SEAL, 1, None)


class TestOfAnAdoptedLog:
    """One that came in a dump: the same rows, with other transaction ids and in another order."""

    @pytest.fixture
    def adopted(self, engine: Engine) -> Engine:
        with transaction(engine) as connection:
            sealing.begin_anew(connection)
            connection.execute(text("UPDATE events SET xid = '3'"))
        seal_all(engine)
        return engine

    def test_it_holds_and_so_do_seals_from_before(self, engine: Engine, adopted: Engine) -> None:
        verdict = verification.verify(adopted, known(adopted))
        assert (verdict.flaw, verdict.events) == (None, len(stored(adopted)))

    def test_a_seal_from_before_is_known(self, engine: Engine, origin: Origin) -> None:
        kept = known(engine)
        with transaction(engine) as connection:
            sealing.begin_anew(connection)
            connection.execute(text("UPDATE events SET xid = '3'"))
        seal_all(engine)
        assert found(engine, kept) is None

    def test_a_changed_row(self, adopted: Engine, middle: Entry) -> None:
        tamper(adopted, f"UPDATE events SET data = '{{}}' WHERE {ROW}", **named(middle))
        assert found(adopted) == (Kind.CHANGED, 3, middle.subject)

    def test_a_row_taken_out(self, adopted: Engine, middle: Entry) -> None:
        tamper(adopted, f"DELETE FROM events WHERE {ROW}", **named(middle))
        assert found(adopted) == (Kind.MISSING, 3, middle.subject)

    def test_a_transaction_id_changed_since(self, adopted: Engine, middle: Entry) -> None:
        tamper(adopted, f"UPDATE events SET xid = '4' WHERE {ROW}", **named(middle))
        flaw = verification.verify(adopted).flaw
        assert flaw is not None
        assert flaw.entry is not None
        assert (flaw.kind, flaw.entry.subject) == (Kind.CHANGED, middle.subject)


def test_sentences_name_the_event(engine: Engine, middle: Entry) -> None:
    tamper(engine, f"DELETE FROM events WHERE {ROW}", **named(middle))
    flaw = verification.verify(engine).flaw
    assert flaw is not None
    event = f"event {middle.subject_id} version {middle.version} (seq {middle.seq})"
    assert flaw.sentence == f"{event} is missing; it is in the range of seal 3"
