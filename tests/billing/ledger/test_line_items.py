"""Items are taken once, exactly, in order, and only while the bill accrues."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, exc, text

from billing.bill import LineItemDraft
from billing.errors import (
    AlreadyReversed,
    BillClosed,
    BillClosing,
    BillNotFound,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    LineItemNotFound,
    NotReversible,
    PeriodEnded,
)
from billing.ledger import bills, closing, events, line_items, reads
from billing.ledger.database import transaction
from billing.money import EXACT, exact_sum
from billing.origin import Origin
from tests.support.ledger import END_NOW, OFFERED, OpenBill, draft, ended, keyed


def test_an_item_is_on_the_bill_with_its_exact_total(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    bill, item, replayed = line_items.add(engine, origin, opened.id, draft())
    assert (item.total, item.position, replayed) == (Decimal("3.6"), 1, False)
    assert bill.subtotals == (("GEL", Decimal("3.6")),)
    assert reads.bill_with_items(engine, opened.id, limit=10) == (bill, [item])


def test_the_bill_that_comes_back_is_the_bill_that_is_stored(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    opened = open_bill()
    for number in range(3):
        bill, _, _ = line_items.add(engine, origin, opened.id, draft(currency=OFFERED[number]))
        assert bill == reads.bill(engine, opened.id)
    assert bill.version == 4


@given(
    lines=st.lists(
        st.tuples(
            st.decimals("0.000001", 10**12, places=6),
            st.decimals(0, 1_000, places=12),
            st.sampled_from(OFFERED),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_subtotals_are_the_exact_sums_of_the_lines(
    engine: Engine, origin: Origin, open_bill: OpenBill, lines: list[tuple[Decimal, Decimal, str]]
) -> None:
    opened = open_bill()
    entries = [line_items.entry(LineItemDraft.parse("x", q, p, c, offered=OFFERED), None) for q, p, c in lines]
    bill = line_items.add_all(engine, origin, opened.id, entries).bill
    for code, subtotal in bill.subtotals:
        assert subtotal == exact_sum(EXACT.multiply(q, p) for q, p, c in lines if c == code)
    assert set(bill.currencies) == {c for _, _, c in lines}


def test_a_repeated_key_gives_the_same_item_once(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    _, first, _ = line_items.add(engine, asking, opened.id, draft(quantity="6"))
    bill, again, replayed = line_items.add(engine, asking, opened.id, draft(quantity="6.0"))
    assert (again, replayed, bill.item_count) == (first, True, 1)


def test_a_key_with_other_values_is_refused(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    line_items.add(engine, asking, opened.id, draft())
    with pytest.raises(IdempotencyKeyReused):
        line_items.add(engine, asking, opened.id, draft(quantity="7"))
    assert reads.bill(engine, opened.id).item_count == 1


def test_a_key_belongs_to_its_account_and_its_bill(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    one, other, asking = open_bill(), open_bill(), keyed(origin, "same")
    stranger = Origin(origin.actor, uuid4(), "request-2", "same")
    line_items.add(engine, asking, one.id, draft())
    assert not line_items.add(engine, asking, other.id, draft(quantity="7"))[2]
    assert not line_items.add(engine, stranger, one.id, draft(quantity="8"))[2]


def test_a_key_is_replayed_after_the_bill_closed(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    _, first, _ = line_items.add(engine, asking, opened.id, draft())
    bills.request_close(engine, origin, opened.id)
    closing.close_bill(engine, origin, opened.id, samples=True)
    bill, again, replayed = line_items.add(engine, asking, opened.id, draft())
    assert (again, replayed, bill.is_closed) == (first, True, True)
    with pytest.raises(BillClosed):
        line_items.add(engine, keyed(origin), opened.id, draft())


def test_two_requests_with_one_key_at_the_same_instant_add_once(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    opened = open_bill()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            asking = keyed(origin)
            twins = [pool.submit(line_items.add, engine, asking, opened.id, draft()) for _ in range(2)]
            items = {twin.result()[1].id for twin in twins}
            assert len(items) == 1
            assert sorted(twin.result()[2] for twin in twins) == [False, True]
    assert reads.bill(engine, opened.id).item_count == 200


def test_refused_once_the_closing_is_wished(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    bills.request_close(engine, origin, opened.id)
    with pytest.raises(BillClosing):
        line_items.add(engine, origin, opened.id, draft())
    assert reads.bill(engine, opened.id).item_count == 0


def test_refused_from_the_periods_end_on_though_nothing_closed_the_bill(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    opened = open_bill()
    line_items.add(engine, origin, opened.id, draft())
    ended(engine, opened)
    with pytest.raises(PeriodEnded):
        line_items.add(engine, origin, opened.id, draft())


def test_the_clock_is_read_once_the_lock_is_held(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    """An add that waited for the bill's lock past the end of the period comes too late."""
    opened = open_bill()
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as connection:
            bills.locked(connection, opened.id)
            waiting = pool.submit(line_items.add, engine, origin, opened.id, draft())
            until_somebody_waits_for(connection)
            connection.execute(END_NOW, {"id": opened.id})
        with pytest.raises(PeriodEnded):
            waiting.result()


def until_somebody_waits_for(connection: Connection) -> None:
    """For a lock that this connection has."""
    waits = text("SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))")
    deadline_s = time.monotonic() + 30
    while not connection.execute(waits).scalar_one():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_who_waits_five_seconds_for_a_twin_is_told_so(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    with transaction(engine) as connection:
        bills.locked(connection, opened.id)
        with pytest.raises(IdempotencyInProgress):
            line_items.add(engine, keyed(origin), opened.id, draft())


def test_no_such_bill(engine: Engine, origin: Origin) -> None:
    with pytest.raises(BillNotFound):
        line_items.add(engine, origin, uuid4(), draft())


class TestReversing:
    def test_negates_the_line_and_the_subtotal(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened = open_bill()
        _, first, _ = line_items.add(engine, origin, opened.id, draft())
        bill, reversing, _ = line_items.reverse(engine, origin, opened.id, first.id, "sent twice")
        assert (reversing.quantity, reversing.unit_price, reversing.total) == (-6, Decimal("0.6"), Decimal("-3.6"))
        assert (reversing.reverses, reversing.reason) == (first.id, "sent twice")
        assert bill.subtotals == (("GEL", 0),)
        assert reads.reversals_of(engine, [first]) == {first.id: reversing}

    def test_happens_once(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened, asking = open_bill(), keyed(origin)
        _, first, _ = line_items.add(engine, origin, opened.id, draft())
        _, reversing, _ = line_items.reverse(engine, asking, opened.id, first.id, "sent twice")
        with pytest.raises(AlreadyReversed):
            line_items.reverse(engine, origin, opened.id, first.id, "sent twice")
        _, again, replayed = line_items.reverse(engine, asking, opened.id, first.id, "sent twice")
        assert (again.id, replayed) == (reversing.id, True)
        with pytest.raises(NotReversible):
            line_items.reverse(engine, origin, opened.id, reversing.id, "no")
        with pytest.raises(LineItemNotFound):
            line_items.reverse(engine, origin, opened.id, uuid4(), "no")
        assert reads.bill(engine, opened.id).item_count == 2

    def test_is_refused_on_a_closed_bill(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened = open_bill()
        _, first, _ = line_items.add(engine, origin, opened.id, draft())
        bills.request_close(engine, origin, opened.id)
        closing.close_bill(engine, origin, opened.id, samples=True)
        with pytest.raises(BillClosed):
            line_items.reverse(engine, origin, opened.id, first.id, "too late")


class TestManyInOneCall:
    def test_each_has_its_outcome_and_good_ones_count(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        opened = open_bill()
        line_items.add(engine, keyed(origin, "a"), opened.id, draft())
        line_items.add(engine, keyed(origin, "b"), opened.id, draft())
        entries = [
            line_items.entry(draft(), "a"),
            line_items.entry(draft(quantity="9"), "b"),
            line_items.entry(draft(), "c"),
            line_items.entry(draft(), None),
        ]
        accepted = line_items.add_all(engine, origin, opened.id, entries)
        assert [outcome.replayed for outcome in accepted.outcomes] == [True, False, False, False]
        assert isinstance(accepted.outcomes[1].refusal, IdempotencyKeyReused)
        assert [outcome.item and outcome.item.position for outcome in accepted.outcomes] == [1, None, 3, 4]
        assert (accepted.bill.item_count, accepted.bill.version) == (4, 4)

    def test_writes_one_event_with_their_range(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened = open_bill()
        line_items.add_all(engine, origin, opened.id, [line_items.entry(draft(), None) for _ in range(1_000)])
        (event,) = events.of_subject(engine, opened.id, after_version=1, limit=10)
        assert (event.data["first_position"], event.data["last_position"]) == (1, 1_000)
        assert event.data["totals"] == {"GEL": "3600"}

    def test_a_repeated_call_repeats_its_outcomes(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened, call = open_bill(), ("call-1", b"f" * 32)
        entries = [line_items.entry(draft(), None) for _ in range(3)]
        first = line_items.add_all(engine, origin, opened.id, entries, call=call)
        again = line_items.add_all(
            engine, origin, opened.id, [line_items.entry(draft(), None) for _ in range(3)], call=call
        )
        assert again.replayed
        assert [o.item for o in again.outcomes] == [o.item for o in first.outcomes]
        assert reads.bill(engine, opened.id).item_count == 3
        with pytest.raises(IdempotencyKeyReused):
            line_items.add_all(engine, origin, opened.id, entries[:1], call=("call-1", b"g" * 32))

    def test_a_call_whose_rows_were_all_there_is_remembered_too(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        opened, call = open_bill(), ("call-2", b"f" * 32)
        line_items.add(engine, keyed(origin, "a"), opened.id, draft())
        line_items.add_all(engine, origin, opened.id, [line_items.entry(draft(), "a")], call=call)
        with pytest.raises(IdempotencyKeyReused):
            line_items.add_all(engine, origin, opened.id, [line_items.entry(draft(), None)], call=("call-2", b"g" * 32))
        assert reads.bill(engine, opened.id).item_count == 1


def test_what_only_a_bug_explains_is_raised_as_it_is(engine: Engine, open_bill: OpenBill) -> None:
    with pytest.raises(exc.DBAPIError) as caught:
        reads.bill_with_items(engine, open_bill().id, limit=1, before=2**63)
    assert caught.value.__cause__ is not caught.value


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("quantity", "'NaN'"),
        ("quantity", "'Infinity'"),
        ("quantity", "0"),
        ("quantity", "-6"),
        ("quantity", "0.0000001"),
        ("unit_price", "-1"),
        ("unit_price", "'NaN'"),
        ("total", "3.61"),
        ("total", "'NaN'"),
        ("currency", "'usd'"),
        ("description", "''"),
    ],
)
def test_the_database_refuses_what_the_rules_refuse(
    engine: Engine, origin: Origin, open_bill: OpenBill, column: str, value: str
) -> None:
    opened = open_bill()
    line_items.add(engine, origin, opened.id, draft())
    with pytest.raises(exc.IntegrityError), transaction(engine) as connection:
        connection.execute(
            text(f"UPDATE line_items SET {column} = {value} WHERE bill_id = :bill_id"), {"bill_id": opened.id}
        )
