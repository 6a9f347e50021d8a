"""A stored request is decided once; 202 promises an outcome, not an addition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from billing.errors import BillClosed, BillNotFound, IdempotencyKeyReused
from billing.ledger import bills, closing, line_items, reads, requests
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft, keyed


def test_carried_out_by_many_at_once_it_adds_once(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    stored = requests.store(engine, origin, opened.id, draft())
    with ThreadPoolExecutor(8) as pool:
        decided = list(pool.map(lambda _: requests.carry_out(engine, opened.id, stored.id), range(16)))
    assert {d.state for d in decided} == {"added"}
    assert reads.bill(engine, opened.id).item_count == 1


def test_racing_a_close_it_is_on_the_bill_or_rejected(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    with ThreadPoolExecutor(6) as pool:
        for _ in range(40):
            opened = open_bill()
            stored = [requests.store(engine, origin, opened.id, draft()) for _ in range(5)]
            outcomes = [pool.submit(requests.carry_out, engine, opened.id, request.id) for request in stored]
            pool.submit(bills.request_close, engine, origin, opened.id).result()
            closing.close_bill(engine, origin, opened.id, samples=True)
            states = [outcome.result().state for outcome in outcomes]
            assert set(states) <= {"added", "rejected"}
            assert reads.bill(engine, opened.id).item_count == states.count("added")


def test_a_key_counts_for_both_ways_of_adding(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    stored = requests.store(engine, asking, opened.id, draft())
    _, item, _ = line_items.add(engine, asking, opened.id, draft())
    decided = requests.carry_out(engine, opened.id, stored.id)
    assert (decided.state, decided.item_id) == ("added", item.id)
    assert reads.bill(engine, opened.id).item_count == 1


def test_a_repeated_key_stores_one_request(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened, asking = open_bill(), keyed(origin)
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda _: requests.store(engine, asking, opened.id, draft()), range(8)))
    assert len({s.id for s in stored}) == 1
    with pytest.raises(IdempotencyKeyReused):
        requests.store(engine, asking, opened.id, draft(quantity="7"))


def test_a_bill_closed_or_unknown_takes_none(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    bills.request_close(engine, origin, opened.id)
    closing.close_bill(engine, origin, opened.id, samples=True)
    with pytest.raises(BillClosed):
        requests.store(engine, origin, opened.id, draft())
    with pytest.raises(BillNotFound):
        requests.store(engine, origin, uuid4(), draft())


def test_what_nobody_took_up_is_found(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    opened = open_bill()
    stored = requests.store(engine, origin, opened.id, draft())
    assert (opened.id, stored.id) in requests.left_pending(engine, older_than=timedelta(0), limit=1_000)
    bills.request_close(engine, origin, opened.id)
    decided = requests.carry_out(engine, opened.id, stored.id)
    assert decided.state == "rejected"
    assert decided.error
    assert decided.error["reason"] == "bill_closing"
    assert (opened.id, stored.id) not in requests.left_pending(engine, older_than=timedelta(0), limit=1_000)


class TestOneKeySentBothWays:
    def test_after_the_item_was_added_directly_the_request_answers_it(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        opened, asking = open_bill(), keyed(origin)
        _, item, _ = line_items.add(engine, asking, opened.id, draft())
        bills.request_close(engine, origin, opened.id)
        closing.close_bill(engine, origin, opened.id, samples=True)
        stored = requests.store(engine, asking, opened.id, draft())
        assert (stored.state, stored.item_id, stored.replayed) == ("added", item.id, True)
        assert requests.read(engine, opened.id, stored.id).item_id == item.id

    def test_other_values_are_refused_at_once_and_take_no_key(
        self, engine: Engine, origin: Origin, open_bill: OpenBill
    ) -> None:
        opened, asking = open_bill(), keyed(origin)
        line_items.add(engine, asking, opened.id, draft())
        with pytest.raises(IdempotencyKeyReused):
            requests.store(engine, asking, opened.id, draft(quantity="7"))
        assert requests.store(engine, asking, opened.id, draft()).state == "added"

    def test_a_rejected_request_gives_its_key_free(self, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
        opened, asking = open_bill(), keyed(origin)
        waiting = requests.store(engine, asking, opened.id, draft(quantity="7"))
        line_items.add(engine, asking, opened.id, draft())
        assert requests.carry_out(engine, opened.id, waiting.id).state == "rejected"
        assert requests.store(engine, asking, opened.id, draft()).state == "added"
