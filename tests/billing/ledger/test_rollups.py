"""The overview's sums: what the log says, once, and what counting everything by hand would give."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from billing.bill import BillStatus
from billing.ledger import bills, closing, events, line_items, overview, rollups
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft

KEPT = {
    "accrual_days": "SELECT currency, day, total FROM accrual_days",
    "open_subtotals": "SELECT bill_id, currency, subtotal, payable FROM open_subtotals",
    "accruing": "SELECT currency, bills, subtotal, payable FROM accruing",
    "bill_states": "SELECT status, bills FROM bill_states WHERE bills > 0",
    "closed_months": "SELECT month, bills FROM closed_months",
    "closed_payables": "SELECT month, currency, payable FROM closed_payables",
}
OPEN = """
    FROM bill_subtotals s JOIN bills b ON b.id = s.bill_id AND b.status = 'open'
    JOIN (VALUES ('GEL', 2), ('USD', 2), ('JPY', 0), ('KWD', 3), ('EUR', 2)) AS iso(code, minor)
    ON iso.code = s.currency
"""
CLOSED = "FROM bills b WHERE status = 'closed'"
MONTH = "date_trunc('month', closed_at AT TIME ZONE 'UTC')::date"
BY_HAND = {
    "accrual_days": "SELECT currency, (created_at AT TIME ZONE 'UTC')::date, sum(total) FROM line_items GROUP BY 1, 2",
    "open_subtotals": f"SELECT s.bill_id, s.currency, s.subtotal, round(s.subtotal, iso.minor) {OPEN}",
    "accruing": f"SELECT s.currency, count(*), sum(s.subtotal), sum(round(s.subtotal, iso.minor)) {OPEN} GROUP BY 1",
    "bill_states": "SELECT status, count(*) FROM bills GROUP BY 1",
    "closed_months": f"SELECT {MONTH}, count(*) {CLOSED} GROUP BY 1",
    "closed_payables": f"""
        SELECT {MONTH}, s.currency, sum(s.payable) FROM bills b JOIN bill_subtotals s ON s.bill_id = b.id
        WHERE status = 'closed' GROUP BY 1, 2""",
}


def rows_of(engine: Engine, queries: dict[str, str]) -> dict[str, set[Any]]:
    with snapshot(engine) as connection:
        return {name: {tuple(row) for row in connection.execute(text(query))} for name, query in queries.items()}


def follow_to_the_end(engine: Engine, limit: int = 37) -> None:
    while rollups.follow(engine, limit=limit):
        pass


@pytest.fixture
def busy(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    """Bills in every state, with amounts that are rounded, a reversal, an empty one, a changed end."""
    accruing, wished, closed, due, empty = (open_bill() for _ in range(5))
    for bill in (accruing, wished, closed, due):
        for code, price in (("GEL", "0.6"), ("USD", "0.0025"), ("JPY", "12.5"), ("KWD", "0.00049")):
            item = line_items.add(engine, origin, bill.id, draft(quantity="1", unit_price=price, currency=code))[1]
        line_items.reverse(engine, origin, bill.id, item.id, "sent twice")
    for bill in (wished, closed, empty):
        bills.request_close(engine, origin, bill.id)
    for bill in (closed, empty):
        closing.close_bill(engine, origin, bill.id, samples=True)
    with transaction(engine) as connection:
        connection.execute(
            text(
                "UPDATE bills SET period_start = clock_timestamp() - interval '2 days',"
                " period_end = clock_timestamp() WHERE id = :id"
            ),
            {"id": due.id},
        )
    closing.close_due(engine, origin, limit=10, samples=True, patience=timedelta(hours=1))
    bills.change_period(engine, origin, accruing.id, accruing.period.end + timedelta(days=1))


@pytest.mark.parametrize("limit", [1, 7, 2_000])
def test_what_was_followed_in_any_steps_is_what_counting_by_hand_gives(engine: Engine, busy: None, limit: int) -> None:
    follow_to_the_end(engine, limit)
    assert rows_of(engine, KEPT) == rows_of(engine, BY_HAND)


def test_counted_anew_it_is_the_same(engine: Engine, busy: None) -> None:
    follow_to_the_end(engine)
    followed = rows_of(engine, KEPT)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE accrual_days SET total = total + 1"))
        connection.execute(text("DELETE FROM open_subtotals"))
    assert rows_of(engine, KEPT) != followed
    assert rollups.rebuild(engine, limit=11) > 20
    assert rows_of(engine, KEPT) == followed
    assert rollups.follow(engine) == 0


def test_beside_writers_and_other_followers_everything_is_counted_once(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    opened = [open_bill().id for _ in range(6)]
    done = threading.Event()

    def write(n: int) -> None:
        for _ in range(25):
            line_items.add(engine, origin, opened[n], draft(quantity="1", unit_price="0.005", currency="EUR"))
        if n % 2:
            bills.request_close(engine, origin, opened[n])
            closing.close_bill(engine, origin, opened[n], samples=True)

    def go_on() -> None:
        while not done.is_set():
            rollups.follow(engine, limit=5)

    followers = [threading.Thread(target=go_on) for _ in range(2)]
    for follower in followers:
        follower.start()
    with ThreadPoolExecutor(len(opened)) as pool:
        list(pool.map(write, range(len(opened))))
    done.set()
    for follower in followers:
        follower.join(120)
    follow_to_the_end(engine)
    assert rows_of(engine, KEPT) == rows_of(engine, BY_HAND)


def test_a_batch_whose_transaction_fails_is_counted_later(engine: Engine, busy: None) -> None:
    follow_to_the_end(engine)
    before = rows_of(engine, KEPT)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rollups.accruing, "bring_up_to_date", failing_after(2))
        with pytest.raises(RuntimeError):
            rollups.rebuild(engine, limit=7)
    assert rows_of(engine, KEPT) != before
    assert read(engine).counted_at is None
    follow_to_the_end(engine)
    assert rows_of(engine, KEPT) == before
    assert read(engine).counted_at is not None


def failing_after(batches: int) -> Callable[..., None]:
    count, left = rollups.accruing.bring_up_to_date, iter(range(batches))

    def bring_up_to_date(*arguments: Any) -> None:
        if next(left, None) is None:
            raise RuntimeError
        count(*arguments)

    return bring_up_to_date


def test_counting_anew_keeps_no_reader_of_the_log_from_what_happens_meanwhile(
    engine: Engine, busy: None, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_to_the_end(engine)
    bill, position = open_bill(), end_of_log(engine)
    readable: list[int] = []
    count = rollups.accruing.bring_up_to_date

    def meanwhile(connection: Connection, bill_ids: list[UUID]) -> None:
        """The item added during the batch before can be read, whoever counts now."""
        found = [event for event in events.read_log(engine, position, limit=100) if event.type == "line_items.added"]
        readable.append(len(found))
        line_items.add(engine, origin, bill.id, draft())
        count(connection, bill_ids)

    monkeypatch.setattr(rollups.accruing, "bring_up_to_date", meanwhile)
    rollups.rebuild(engine, limit=7)
    assert len(readable) > 2
    assert readable == list(range(len(readable)))


def end_of_log(engine: Engine) -> events.LogPosition:
    with snapshot(engine) as connection:
        row = connection.execute(text("SELECT xid::text::bigint AS xid, seq FROM rollup_position")).one()
    return events.LogPosition(row.xid, row.seq)


def test_a_payable_is_rounded_on_its_bill_and_then_added(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    follow_to_the_end(engine)
    before = {a.payable.currency.code: a.payable for a in read(engine).accruing}
    for _ in range(2):
        line_items.add(engine, origin, open_bill().id, draft(quantity="1", unit_price="0.005", currency="USD"))
    follow_to_the_end(engine)
    after = {a.payable.currency.code: a.payable for a in read(engine).accruing}["USD"]
    added = after.amount - (before["USD"].amount if "USD" in before else 0)
    assert str(added) == "0.02"
    assert after.subtotal + after.rounding == after.amount


def test_the_sums_say_how_old_they_are(engine: Engine, open_bill: OpenBill) -> None:
    open_bill()
    before = clock(engine)
    follow_to_the_end(engine)
    first = read(engine)
    assert first.counted_at
    assert before < first.counted_at < first.now
    rollups.follow(engine)
    assert read(engine).counted_at > first.counted_at


def test_while_an_older_transaction_keeps_events_back_the_sums_are_as_of_before_them(
    engine: Engine, open_bill: OpenBill
) -> None:
    follow_to_the_end(engine)
    with transaction(engine) as long:
        long.execute(text("SELECT pg_current_xact_id()"))
        before = clock(engine)
        rollups.follow(engine)
        nothing_waits = read(engine)
        assert before < nothing_waits.counted_at < nothing_waits.now
        first = open_bill()
        open_bill()
        for _ in range(2):
            assert rollups.follow(engine) == 0
            assert nothing_waits.counted_at < read(engine).counted_at <= first.created_at
    follow_to_the_end(engine)
    assert read(engine).counted_at > first.created_at
    assert rows_of(engine, KEPT) == rows_of(engine, BY_HAND)


def test_an_event_of_no_bill_moves_the_position_and_no_sum(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    follow_to_the_end(engine)
    before = rows_of(engine, KEPT)
    with transaction(engine) as connection:
        events.append(connection, origin, "customer.changed", ("customer", bill.customer.id), 99, bill.created_at)
    assert rollups.follow(engine) == 1
    assert rows_of(engine, KEPT) == before


def test_open_bills_are_counted_by_state(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    follow_to_the_end(engine)
    before = read(engine).states
    bill = open_bill()
    open_bill()
    bills.request_close(engine, origin, bill.id)
    follow_to_the_end(engine)
    after = read(engine).states
    assert {state: after[state] - before[state] for state in BillStatus} == {
        BillStatus.OPEN: 1,
        BillStatus.CLOSING: 1,
        BillStatus.CLOSED: 0,
    }


def test_workflows_that_have_not_heard_for_long_are_counted(engine: Engine, open_bill: OpenBill) -> None:
    open_bill()
    assert rollups.look_behind(engine, patience=timedelta(0)) >= 1
    assert rollups.look_behind(engine, patience=timedelta(minutes=5)) == 0
    assert overview.standing(engine, patience=timedelta(minutes=1)).workflows_behind == 0


def clock(engine: Engine) -> datetime:
    with transaction(engine) as connection:
        return now(connection)


def read(engine: Engine) -> overview.Overview:
    return overview.read(engine, currency="USD", days=30, bills=5)
