"""Bills are opened once, and their end moves only while they accrue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from billing.errors import (
    BillClosing,
    BillNotFound,
    IdempotencyKeyReused,
    InvalidArgument,
    PeriodEnded,
    VersionConflict,
)
from billing.ledger import bills, events, reads
from billing.origin import Origin
from billing.period import Period
from tests.support.ledger import OpenBill, ended, keyed

NOW = datetime.now(UTC)
MONTH = Period(NOW, NOW + timedelta(days=30))


def test_registers_a_customer_nobody_knew_once(engine: Engine, origin: Origin) -> None:
    first = bills.open_bill(engine, origin, "hung", MONTH).bill
    second = bills.open_bill(engine, origin, "hung", MONTH).bill
    assert first.customer == second.customer
    assert first.id != second.id


def test_the_same_customer_named_by_many_at_once_is_one(engine: Engine, origin: Origin) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: bills.open_bill(engine, origin, "crowd", MONTH).bill, range(16)))
    assert len({bill.customer.id for bill in opened}) == 1


def test_a_repeated_key_opens_no_second_bill(engine: Engine, origin: Origin) -> None:
    asking = keyed(origin)
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: bills.open_bill(engine, asking, "hung", MONTH), range(8)))
    assert len({w.bill.id for w in written}) == 1
    assert sum(not w.replayed for w in written) == 1
    with pytest.raises(IdempotencyKeyReused):
        bills.open_bill(engine, asking, "someone else", MONTH)


@pytest.mark.parametrize(
    ("start", "end"),
    [(timedelta(days=-367), timedelta(days=-2)), (timedelta(days=-2), timedelta(0))],
    ids=["starts too long ago", "is over"],
)
def test_a_period_that_may_not_begin(engine: Engine, origin: Origin, start: timedelta, end: timedelta) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidArgument):
        bills.open_bill(engine, origin, "never", Period(now + start, now + end))


def test_the_end_moves_both_ways_while_it_lies_ahead(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    for end in (opened.period.end + timedelta(days=5), opened.period.end - timedelta(days=5)):
        assert bills.change_period(engine, origin, opened.id, end).bill.period.end == end
    assert [e.type for e in events.of_subject(engine, opened.id, after_version=1, limit=9)] == [
        "bill.period_changed"
    ] * 2


def test_an_end_that_cannot_be(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    for end in (opened.period.start, opened.period.start + timedelta(days=367), NOW - timedelta(seconds=1)):
        with pytest.raises(InvalidArgument):
            bills.change_period(engine, origin, opened.id, end)
    with pytest.raises(VersionConflict):
        bills.change_period(engine, origin, opened.id, MONTH.end, expected_version=7)
    assert reads.bill(engine, opened.id) == opened


def test_the_end_no_longer_moves_once_it_has_passed_or_closing_is_wished(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    over, wished = ended(engine, open_bill()), open_bill()
    with pytest.raises(PeriodEnded):
        bills.change_period(engine, origin, over.id, MONTH.end)
    bills.request_close(engine, origin, wished.id)
    with pytest.raises(BillClosing):
        bills.change_period(engine, origin, wished.id, MONTH.end)
    with pytest.raises(BillNotFound):
        bills.change_period(engine, origin, uuid4(), MONTH.end)


def test_a_repeated_change_of_period_happens_once(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    end = opened.period.end + timedelta(days=1)
    first = bills.change_period(engine, asking, opened.id, end)
    again = bills.change_period(engine, asking, opened.id, end)
    assert (first.replayed, again.replayed, again.bill.version) == (False, True, 2)
