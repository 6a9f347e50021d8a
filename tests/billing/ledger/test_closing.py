"""A bill closes once, at its cut-off, with the rates of that moment, and keeps what it was closed with."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, exc, text

from billing import money
from billing.bill import BillStatus, CloseReason
from billing.deliveries import FetchedRates
from billing.errors import BillClosed, BillClosing, BillingError, VersionConflict
from billing.ledger import bills, closing, customers, events, line_items, rates, reads
from billing.ledger.database import transaction
from billing.money import Currency
from billing.origin import Origin
from billing.rates import RateSnapshot
from tests.support.ledger import OpenBill, draft, ended, keyed


def deliver(engine: Engine, origin: Origin, gel: str) -> RateSnapshot:
    fetched = FetchedRates("test", "USD", datetime.now(UTC), {"GEL": Decimal(gel), "EUR": Decimal("0.9")})
    rates.record_delivery(engine, origin, fetched, rates.validators(engine))
    current = rates.current(engine, samples=False)
    assert current is not None
    return current


def test_not_before_its_end(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill(ends_in=timedelta(minutes=1))
    outcome = closing.close_bill(engine, origin, opened.id, samples=True)
    assert isinstance(outcome, closing.NotYet)
    assert timedelta(seconds=20) < outcome.wait <= timedelta(minutes=1)
    assert opened.id not in closing.close_due(engine, origin, limit=100, samples=True)
    assert reads.bill(engine, opened.id).is_open


def test_at_its_end_with_the_end_as_the_cut_off(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    line_items.add(engine, origin, opened.id, draft(quantity="1", unit_price="71.8225", currency="EUR"))
    opened = ended(engine, opened)
    assert opened.id in closing.close_due(engine, origin, limit=100, samples=True)
    closed = reads.bill(engine, opened.id)
    assert (closed.status, closed.close_reason) == (BillStatus.CLOSED, CloseReason.PERIOD_END)
    assert closed.effective_at == opened.period.end
    assert closed.closed_at
    assert closed.closed_at > opened.period.end
    (payable,) = closed.payables
    assert (payable.amount, payable.rounding) == (Decimal("71.82"), Decimal("-0.0025"))
    with transaction(engine) as connection:
        stored = connection.execute(
            text("SELECT payable, rounding FROM bill_subtotals WHERE bill_id = :id"), {"id": opened.id}
        ).one()
    assert tuple(stored) == (payable.amount, payable.rounding)


def test_by_hand_at_the_moment_of_the_wish(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    wished = bills.request_close(engine, origin, opened.id).bill
    assert wished.status is BillStatus.CLOSING
    closed = closing.close_bill(engine, origin, opened.id, samples=True)
    assert not isinstance(closed, closing.NotYet)
    assert (closed.close_reason, closed.effective_at) == (CloseReason.MANUAL, wished.close_requested_at)


def test_a_wish_after_the_end_closes_as_of_the_end(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = ended(engine, open_bill())
    assert bills.request_close(engine, origin, opened.id).bill.status is BillStatus.CLOSING
    closed = closing.close_bill(engine, origin, opened.id, samples=True)
    assert not isinstance(closed, closing.NotYet)
    assert (closed.close_reason, closed.effective_at) == (CloseReason.PERIOD_END, opened.period.end)


def test_repeated_says_the_same(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    bills.request_close(engine, origin, opened.id)
    first = closing.close_bill(engine, origin, opened.id, samples=True)
    assert closing.close_bill(engine, origin, opened.id, samples=True) == first
    assert bills.request_close(engine, origin, opened.id).bill == first
    kinds = [event.type for event in events.of_subject(engine, opened.id, after_version=0, limit=10)]
    assert kinds == ["bill.created", "bill.close_requested", "bill.closed"]


def test_refuses_a_version_that_is_not_the_bills(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    line_items.add(engine, origin, opened.id, draft())
    with pytest.raises(VersionConflict):
        bills.request_close(engine, origin, opened.id, expected_version=opened.version)
    assert reads.bill(engine, opened.id).is_open


def test_numbers_have_no_gaps_whoever_closes(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = [open_bill() for _ in range(40)]
    for bill in opened:
        bills.request_close(engine, origin, bill.id)

    def close(n: int) -> None:
        if n % 3 == 0:
            closing.close_due(engine, origin, limit=5, samples=True)
        closing.close_bill(engine, origin, opened[n].id, samples=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(close, range(40)))
    with transaction(engine) as connection:
        numbers = connection.execute(
            text("SELECT number FROM bills WHERE number IS NOT NULL ORDER BY number")
        ).scalars()
        assert list(numbers) == list(range(1, reads_last_number(engine) + 1))


def reads_last_number(engine: Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text("SELECT last_value FROM counters")).scalar_one())


def test_keeps_the_customer_it_was_closed_with(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    customers.edit(engine, origin, opened.customer.external_id, {"name": "Before", "billing_address": "1 Old Street"})
    bills.request_close(engine, origin, opened.id)
    closing.close_bill(engine, origin, opened.id, samples=True)
    customers.edit(engine, origin, opened.customer.external_id, {"name": "After"})
    assert reads.bill(engine, opened.id).customer.name == "Before"


def test_keeps_the_payable_it_was_closed_with_whatever_becomes_of_the_currency(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, asking = open_bill(), keyed(origin)
    line_items.add(engine, asking, opened.id, draft(quantity="1", unit_price="1.005"))
    bills.request_close(engine, origin, opened.id)
    closed = closing.close_bill(engine, origin, opened.id, samples=True)
    assert not isinstance(closed, closing.NotYet)
    monkeypatch.setattr(money, "_iso_currencies", lambda: {"GEL": Currency("GEL", 0)})
    (payable,) = reads.bill(engine, opened.id).payables
    assert (payable.amount, payable.rounding, payable.currency.minor_units) == (Decimal("1.01"), Decimal("0.005"), 2)
    replayed, _, _ = line_items.add(engine, asking, opened.id, draft(quantity="1", unit_price="1.005"))
    assert replayed.payables == closed.payables


class TestFrozenRates:
    def test_are_those_of_the_cut_off_however_late_the_close_runs(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        before = deliver(engine, origin, "2.70")
        by_hand, by_itself = open_bill(), ended(engine, open_bill())
        bills.request_close(engine, origin, by_hand.id)
        deliver(engine, origin, "2.71")
        for bill in (by_hand, by_itself):
            closed = closing.close_bill(engine, origin, bill.id, samples=False)
            assert not isinstance(closed, closing.NotYet)
            assert closed.rate_snapshot_id == before.id
        deliver(engine, origin, "2.72")
        assert reads.bill(engine, by_hand.id).rate_snapshot_id == before.id

    def test_are_samples_only_while_no_provider_is_configured(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        for samples in (True, False):
            opened = open_bill()
            bills.request_close(engine, origin, opened.id)
            closed = closing.close_bill(engine, origin, opened.id, samples=samples)
            assert not isinstance(closed, closing.NotYet)
            used = closed.rate_snapshot_id and rates.snapshot_by_id(engine, closed.rate_snapshot_id)
            assert used is None or used.sample == samples


def test_racing_adders_every_accepted_item_is_in_the_total(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    """Sixteen adders against one close, many times: accepted and counted, or refused for the one documented reason."""

    def add(bill_id: object) -> BillingError | None:
        try:
            line_items.add(engine, keyed(origin), bill_id, draft(quantity="1", unit_price="1"))  # type: ignore[arg-type]
        except (BillClosing, BillClosed) as refused:
            return refused
        return None

    with ThreadPoolExecutor(17) as pool:
        for _ in range(30):
            opened = open_bill()
            adders = [pool.submit(add, opened.id) for _ in range(8)]
            wish = pool.submit(bills.request_close, engine, origin, opened.id)
            adders += [pool.submit(add, opened.id) for _ in range(8)]
            wish.result()
            closing.close_bill(engine, origin, opened.id, samples=True)
            accepted = sum(adder.result() is None for adder in adders)
            closed, items = reads.bill_with_items(engine, opened.id, limit=100)
            assert len(items) == closed.item_count == accepted
            assert closed.subtotals == ((("GEL", Decimal(accepted)),) if accepted else ())


@pytest.mark.parametrize(
    "change", ["payable = payable + 1", "rounding = 1", "minor_units = 0", "payable = 'NaN'", "rounding = NULL"]
)
def test_the_database_refuses_a_payable_that_is_not_the_rounded_subtotal(
    engine: Engine, origin: Origin, open_bill: OpenBill, change: str
) -> None:
    opened = open_bill()
    line_items.add(engine, origin, opened.id, draft())
    bills.request_close(engine, origin, opened.id)
    closing.close_bill(engine, origin, opened.id, samples=True)
    with pytest.raises(exc.IntegrityError), transaction(engine) as connection:
        connection.execute(text(f"UPDATE bill_subtotals SET {change} WHERE bill_id = :id"), {"id": opened.id})


def test_what_is_due_is_found_by_index_however_many_bills_are_open(engine: Engine) -> None:
    wanted = {"limit": 500, "samples": False, "patience": timedelta(seconds=3)}
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.execute(text(f"EXPLAIN {closing._LOCK_DUE.text}"), wanted).all()
    plan = "\n".join(row[0] for row in rows)
    assert re.search(r"Index Cond: \(period_end <= ", plan), plan
