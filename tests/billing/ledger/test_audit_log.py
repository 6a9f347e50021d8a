"""The whole log as administrators read it: filters, pages that neither repeat nor leave out, by index alone."""

from __future__ import annotations

import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from billing.ledger import audit_log
from billing.ledger.audit_log import LogFilter, Place
from billing.ledger.database import transaction

ROWS = 20_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LAST = FIRST + timedelta(seconds=ROWS)
BUSY, RARE = UUID(int=7), UUID(int=19_993)
# Of one subject is every eighth, by a rare actor and of a rare type every five hundredth.
FILL = """
    INSERT INTO events (subject_id, version, subject_type, type, actor_kind, actor_id, actor_name, request_id, data,
                        occurred_at)
    SELECT CASE WHEN n % 8 = 0 THEN CAST(:busy AS uuid) ELSE lpad(to_hex(n), 32, '0')::uuid END, n, 'bill',
           CASE WHEN n % 500 = 3 THEN 'bill.closed' WHEN n % 500 = 4 THEN 'user.disabled' ELSE 'line_items.added' END,
           'api_key', 'key', CASE WHEN n % 500 = 5 THEN 'anna@example.com' ELSE 'ledger-sync' END, 'request',
           jsonb_build_object('totals', jsonb_build_object('USD', n::text), 'text', repeat('x', 300)),
           CAST(:first AS timestamptz) + n * interval '1 second' - (n % 3) * interval '5 seconds'
    FROM generate_series(1, :rows) AS n
"""
WANTED = {
    "everything": LogFilter(),
    "a frequent type": LogFilter(type="line_items.added"),
    "a rare type": LogFilter(type="bill.closed"),
    "a type nobody has": LogFilter(type="nothing"),
    "a frequent actor": LogFilter(actor="ledger-sync"),
    "a rare actor": LogFilter(actor="anna@example.com"),
    "nobody": LogFilter(actor="nobody"),
    "a busy subject": LogFilter(subject_id=BUSY),
    "a quiet subject": LogFilter(subject_id=RARE),
    "long ago": LogFilter(before=FIRST + timedelta(hours=1)),
    "a span": LogFilter(since=FIRST + timedelta(hours=1), before=FIRST + timedelta(hours=2)),
    "a rare type in a span": LogFilter(type="bill.closed", before=FIRST + timedelta(hours=2)),
    "a rare actor in a span": LogFilter(actor="anna@example.com", since=FIRST + timedelta(hours=4)),
    "a rare actor's type": LogFilter(actor="anna@example.com", type="line_items.added"),
    "a busy subject in a span": LogFilter(subject_id=BUSY, since=FIRST, before=FIRST + timedelta(hours=1)),
}


@pytest.fixture(scope="module")
def filled(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        connection.execute(text(FILL), {"busy": BUSY, "first": FIRST, "rows": ROWS})
        connection.execute(text("ANALYZE events"))
    return engine


def fits(row: audit_log.LoggedEvent, wanted: LogFilter) -> bool:
    event = row.event
    return (
        wanted.subject_id in {None, event.subject_id}
        and wanted.type in {None, event.type}
        and wanted.actor in {None, event.actor.name}
        and (wanted.since is None or event.occurred_at >= wanted.since)
        and (wanted.before is None or event.occurred_at < wanted.before)
    )


@pytest.fixture(scope="module")
def everything(filled: Engine) -> list[audit_log.LoggedEvent]:
    return [row for batch in audit_log.in_batches(filled, LogFilter()) for row in batch]


def test_all_of_it_newest_first(everything: list[audit_log.LoggedEvent]) -> None:
    assert len({row.event.position.seq for row in everything}) == ROWS
    places = [(row.event.occurred_at, row.event.position.seq) for row in everything]
    assert places == sorted(places, reverse=True)


@pytest.mark.parametrize("name", WANTED)
def test_pages_neither_repeat_nor_leave_out(
    filled: Engine, everything: list[audit_log.LoggedEvent], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = WANTED[name]
    monkeypatch.setattr(audit_log, "BATCH", 313)
    found = [row for batch in audit_log.in_batches(filled, wanted) for row in batch]
    expected = [row for row in everything if fits(row, wanted)]
    if wanted.subject_id is not None:
        expected.sort(key=lambda row: row.event.version, reverse=True)
    assert found == expected


@pytest.mark.parametrize("continued", [False, True], ids=["first page", "later page"])
@pytest.mark.parametrize("name", WANTED)
def test_no_page_reads_or_sorts_what_it_does_not_show(filled: Engine, name: str, continued: bool) -> None:
    wanted = WANTED[name]
    middle = Place(ROWS // 2, None if wanted.subject_id else FIRST + timedelta(seconds=ROWS // 2))
    query = audit_log.page_query(wanted, middle if continued else None, limit=51)
    compiled = query.compile(filled)
    with filled.connect() as connection:
        plan = "\n".join(
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS OFF) {compiled}", compiled.construct_params())
            .scalars()
            .all()
        )
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan, plan
    removed = [int(line.split(":")[1]) for line in plan.splitlines() if "Rows Removed by Filter" in line]
    assert sum(removed) < 3_000, plan


def test_a_plan_for_any_type_uses_the_index_of_rare_ones(filled: Engine) -> None:
    compiled = str(audit_log.page_query(LogFilter(type="bill.closed"), None, limit=51).compile(filled))
    numbers = count(1)
    query = re.sub(r"%\(\w+\)s", lambda _: f"${next(numbers)}", compiled)
    with filled.connect() as connection:
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {query}").scalars().all())
    assert "ix_events_type_occurred_at_seq" in plan


def test_a_log_of_any_length_is_read_in_the_same_memory(filled: Engine) -> None:
    def peak(wanted: LogFilter) -> int:
        tracemalloc.start()
        rows = sum(len(batch) for batch in audit_log.in_batches(filled, wanted))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows > 1_000
        return used

    few = peak(LogFilter(before=FIRST + timedelta(seconds=2_000)))
    assert peak(LogFilter()) < 1.5 * few


def test_data_is_as_it_is_stored_to_the_character(filled: Engine) -> None:
    (row,) = audit_log.events(filled, LogFilter(), limit=1)
    assert row.data.startswith('{"text": "xxx')
    assert row.event.data["totals"]["USD"] in row.data


def test_whoever_did_anything_is_offered_once(filled: Engine) -> None:
    assert audit_log.actors(filled, limit=10) == ["anna@example.com", "ledger-sync"]
    assert audit_log.actors(filled, limit=1) == ["anna@example.com"]
