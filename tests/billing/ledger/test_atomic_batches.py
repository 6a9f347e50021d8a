"""Batches of which all counts or nothing, at the same instant: what is refused leaves nothing, nor takes anything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from billing.ledger import bills, line_items, reads, references
from billing.ledger.line_items import Accepted, Entry
from billing.origin import Origin
from billing.period import Period
from tests.support.ledger import draft

ROUNDS = 25
CALLERS = 4


def counts(accepted: Accepted) -> bool:
    return all(outcome.item for outcome in accepted.outcomes)


def tried(_: Accepted) -> bool:
    return False


def order(n: int, quantity: str = "6") -> Entry:
    """The same key and reference for the same number; another quantity contradicts both."""
    return line_items.entry(replace(draft(quantity=quantity), source="shop", reference=f"order-{n}"), f"key-{n}")


@pytest.fixture
def opened(engine: Engine, origin: Origin) -> list[UUID]:
    """Two bills of one customer."""
    now, customer = datetime.now(UTC), uuid4().hex
    period = Period(now, now + timedelta(days=30))
    return [bills.open_bill(engine, origin, customer, period).bill.id for _ in range(2)]


def kept_of(engine: Engine, opened: Sequence[UUID]) -> tuple[dict[str, str], set[str], set[str]]:
    """What is stored: references with the quantity charged, keys, references taken."""
    items = [item for bill_id in opened for item in reads.items_after(engine, bill_id, position=0, limit=1_000)]
    charged = {str(item.reference): str(item.quantity) for item in items}
    assert len(charged) == len(items), "charged twice"
    with engine.connect() as connection:
        of = {"ids": list(opened)}
        keys = connection.execute(text("SELECT key FROM idempotency_keys WHERE scope_id = ANY(:ids)"), of)
        taken = connection.execute(text("SELECT reference FROM line_item_references WHERE bill_id = ANY(:ids)"), of)
        return charged, set(keys.scalars()), set(taken.scalars())


@pytest.mark.parametrize("bill_count", [1, 2])
def test_batches_that_contradict_each_other_count_as_a_whole_or_not_at_all(
    engine: Engine, origin: Origin, opened: list[UUID], bill_count: int
) -> None:
    """Each round two say 6 and two say 7 of overlapping orders, in any order of rows: who is first wins, and no part of
    the others is left. A try beside them changes nothing."""
    chance = random.Random(20261123)
    into = opened[:bill_count]
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        for turn in range(ROUNDS):
            numbers = [turn * 100 + n for n in range(12)]
            batches = []
            for caller in range(CALLERS):
                chosen = chance.sample(numbers, 8)
                batches.append((into[caller % bill_count], [order(n, "67"[caller % 2]) for n in chosen]))
            trying = pool.submit(
                line_items.add_all, engine, origin, into[0], [order(n, "8") for n in numbers], keeps=tried
            )
            adding = [
                pool.submit(line_items.add_all, engine, origin, bill_id, batch, keeps=counts)
                for bill_id, batch in batches
            ]
            whole = [batch for (_, batch), done in zip(batches, adding, strict=True) if counts(done.result(timeout=60))]
            trying.result(timeout=60)
            charged, keys, taken = kept_of(engine, opened)
            expected = {str(one.draft.reference): str(one.draft.quantity) for batch in whole for one in batch}
            of_this_round = {f"order-{n}" for n in numbers}
            assert {name: charged[name] for name in charged if name in of_this_round} == expected
            assert taken == charged.keys()
            assert keys == {name.replace("order", "key") for name in charged}
            assert whole, "somebody is always first"
    for bill_id in opened:
        bill = reads.bill(engine, bill_id)
        assert bill.item_count == len(reads.items_after(engine, bill_id, position=0, limit=1_000))


def test_what_was_only_tried_or_refused_can_be_charged_with_other_values(
    engine: Engine, origin: Origin, opened: list[UUID]
) -> None:
    refused = [order(1), order(2), line_items.entry(draft(quantity="9"), "key-1")]
    first = line_items.add_all(engine, origin, opened[0], [order(1)], keeps=tried)
    assert counts(first)
    line_items.add_all(engine, origin, opened[0], [line_items.entry(draft(), "key-1")])
    done = line_items.add_all(engine, origin, opened[0], [refused[1], refused[0]], keeps=counts)
    assert not counts(done)
    assert references.taken(engine, opened[0], [("shop", "order-1"), ("shop", "order-2")]) == set()
    assert counts(line_items.add_all(engine, origin, opened[1], [order(1, "7"), order(2, "7")], keeps=counts))
