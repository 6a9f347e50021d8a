"""What has a reference in the system it comes from is charged once, on whatever bill of its customer."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import BillClosed, BillingError, IdempotencyKeyReused, PeriodEnded, ReferenceReused
from billing.ledger import bills, closing, events, line_items, reads, references, requests
from billing.ledger.adding import Added, add_together, asked
from billing.ledger.group_commit import GroupCommit
from billing.origin import Origin, by_the_system
from billing.period import Period
from tests.support.ledger import OpenBill, draft, ended, keyed

OpenOf = Callable[[str], Bill]
Added_ = tuple[LineItem, bool]


def referenced(reference: str = "order-1", source: str = "shop", **values: str) -> LineItemDraft:
    return replace(draft(**values), source=source, reference=reference)


@pytest.fixture
def customer() -> str:
    return f"customer-{uuid4().hex}"


@pytest.fixture
def open_of(engine: Engine, origin: Origin) -> OpenOf:
    """Another bill of the customer."""

    def open_(customer: str) -> Bill:
        now = datetime.now(UTC)
        return bills.open_bill(engine, origin, customer, Period(now, now + timedelta(days=30))).bill

    return open_


def alone(engine: Engine, origin: Origin, bill_id: UUID, wanted: LineItemDraft) -> Added_:
    _, item, replayed = line_items.add(engine, origin, bill_id, wanted)
    return item, replayed


def grouped(engine: Engine, origin: Origin, bill_id: UUID, wanted: LineItemDraft) -> Added_:
    added = GroupCommit(engine).add(origin, bill_id, wanted)
    return added.item, added.replayed


def beside_another(engine: Engine, origin: Origin, bill_id: UUID, wanted: LineItemDraft) -> Added_:
    """In one call for several callers."""
    first = asked(replace(origin, account_id=uuid4(), idempotency_key=None), bill_id, draft("Of somebody else"))
    _, outcome = add_together(engine, [first, asked(origin, bill_id, wanted)], waits=True)
    if isinstance(outcome, BillingError):
        raise outcome
    assert isinstance(outcome, Added)
    return outcome.item, outcome.replayed


def in_a_batch(engine: Engine, origin: Origin, bill_id: UUID, wanted: LineItemDraft) -> Added_:
    entries = [line_items.entry(draft("Of the same batch"), None), line_items.entry(wanted, origin.idempotency_key)]
    outcome = line_items.add_all(engine, replace(origin, idempotency_key=None), bill_id, entries).outcomes[1]
    if outcome.refusal:
        raise outcome.refusal
    assert outcome.item is not None
    return outcome.item, outcome.replayed


def in_a_batch_of_one(engine: Engine, origin: Origin, bill_id: UUID, wanted: LineItemDraft) -> Added_:
    entries = [line_items.entry(wanted, origin.idempotency_key)]
    (outcome,) = line_items.add_all(engine, replace(origin, idempotency_key=None), bill_id, entries).outcomes
    if outcome.refusal:
        raise outcome.refusal
    assert outcome.item is not None
    return outcome.item, outcome.replayed


WAYS = [alone, grouped, beside_another, in_a_batch, in_a_batch_of_one]
every_way = pytest.mark.parametrize("add", WAYS)


@every_way
def test_the_same_again_is_the_item_that_is_there(
    engine: Engine, origin: Origin, open_bill: OpenBill, add: Callable[..., Added_]
) -> None:
    bill = open_bill()
    item, replayed = add(engine, origin, bill.id, referenced())
    assert (item.source, item.reference, replayed) == ("shop", "order-1", False)
    assert reads.line_item(engine, bill.id, item.id) == item
    count = reads.bill(engine, bill.id).item_count
    for again in WAYS:
        assert again(engine, origin, bill.id, referenced(quantity="6.0")) == (item, True)
    assert [line.id for line in lines(engine, bill) if line.reference] == [item.id]
    assert reads.bill(engine, bill.id).item_count == count + 2  # what came beside it, twice


@every_way
def test_on_another_bill_of_the_customer_too(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf, add: Callable[..., Added_]
) -> None:
    first, second = open_of(customer), open_of(customer)
    item, _ = alone(engine, origin, first.id, referenced())
    again, replayed = add(engine, origin, second.id, referenced())
    assert (again, again.bill_id, replayed) == (item, first.id, True)
    assert not [line for line in lines(engine, second) if line.reference]


@every_way
def test_other_values_are_refused_and_change_nothing(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf, add: Callable[..., Added_]
) -> None:
    first, second = open_of(customer), open_of(customer)
    item, _ = alone(engine, origin, first.id, referenced())
    for bill in (first, second):
        for values in ({"quantity": "7"}, {"unit_price": "0.7"}, {"currency": "USD"}, {"description": "Another"}):
            with pytest.raises(ReferenceReused):
                add(engine, keyed(origin), bill.id, referenced(**values))
    assert [line for line in lines(engine, first) + lines(engine, second) if line.reference] == [item]


@every_way
def test_of_another_source_or_customer_it_is_something_else(
    engine: Engine, origin: Origin, open_bill: OpenBill, add: Callable[..., Added_]
) -> None:
    bill, of_another_customer = open_bill(), open_bill()
    made = [
        add(engine, origin, bill.id, referenced()),
        add(engine, origin, bill.id, referenced(source="meter", quantity="7")),
        add(engine, origin, bill.id, referenced("order-2")),
        add(engine, origin, of_another_customer.id, referenced(quantity="8")),
    ]
    assert len({item.id for item, _ in made}) == 4
    assert not any(replayed for _, replayed in made)


@every_way
def test_that_of_an_item_that_was_taken_back_stays_taken(
    engine: Engine, origin: Origin, open_bill: OpenBill, add: Callable[..., Added_]
) -> None:
    bill = open_bill()
    item, _ = alone(engine, origin, bill.id, referenced())
    _, reversing, _ = line_items.reverse(engine, origin, bill.id, item.id, "Entered twice")
    assert reversing.reference is None
    assert add(engine, origin, bill.id, referenced()) == (item, True)
    with pytest.raises(ReferenceReused):
        add(engine, origin, bill.id, referenced(quantity="7"))


@every_way
def test_it_is_known_whatever_state_the_bills_are_in_and_what_is_refused_takes_none(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf, add: Callable[..., Added_]
) -> None:
    closed, late, open_ = open_of(customer), open_of(customer), open_of(customer)
    item, _ = alone(engine, origin, closed.id, referenced())
    bills.request_close(engine, origin, closed.id)
    closing.close_bill(engine, by_the_system("test"), closed.id, samples=True)
    ended(engine, late)
    for bill in (closed, late, open_):
        assert add(engine, origin, bill.id, referenced()) == (item, True)
    with pytest.raises(BillClosed):
        add(engine, origin, closed.id, referenced("order-2"))
    with pytest.raises(PeriodEnded):
        add(engine, origin, late.id, referenced("order-2", quantity="7"))
    assert not add(engine, origin, open_.id, referenced("order-2", quantity="8"))[1]


@every_way
def test_a_key_is_remembered_for_what_its_reference_gave(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf, add: Callable[..., Added_]
) -> None:
    first, second, asking = open_of(customer), open_of(customer), keyed(origin)
    item, _ = alone(engine, origin, first.id, referenced())
    for way in (add, *WAYS):
        assert way(engine, asking, second.id, referenced()) == (item, True)
    for other in (referenced(quantity="7"), referenced("order-2"), draft()):
        with pytest.raises(IdempotencyKeyReused):
            add(engine, asking, second.id, other)


def test_a_reference_is_part_of_what_a_key_stands_for(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill, asking = open_bill(), keyed(origin)
    alone(engine, asking, bill.id, draft())
    with pytest.raises(IdempotencyKeyReused):
        alone(engine, asking, bill.id, referenced())
    assert draft().fingerprint() != referenced().fingerprint()


def test_twins_of_one_batch_are_one_item(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    wanted = [referenced(), referenced(quantity="6.0"), referenced(quantity="7"), draft(), referenced("order-2")]
    accepted = line_items.add_all(engine, origin, bill.id, [line_items.entry(one, None) for one in wanted])
    first, second, third, fourth, fifth = accepted.outcomes
    assert first.item == second.item
    assert (first.replayed, second.replayed) == (False, True)
    assert isinstance(third.refusal, ReferenceReused)
    assert [item.id for item in lines(engine, bill)] == [one.item.id for one in (first, fourth, fifth) if one.item]
    assert accepted.bill.item_count == 3


def test_a_batch_that_is_repeated_answers_the_same_items_on_whatever_bill(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    first, second = open_of(customer), open_of(customer)
    elsewhere, _ = alone(engine, origin, first.id, referenced())
    call = ("call", b"f" * 32)
    wanted = [line_items.entry(one, None) for one in (referenced(), draft(), referenced("order-2"))]
    made = line_items.add_all(engine, origin, second.id, wanted, call=call)
    again = line_items.add_all(engine, origin, second.id, wanted, call=call)
    assert again.replayed
    assert [one.item for one in again.outcomes] == [one.item for one in made.outcomes]
    assert made.outcomes[0].item == elsewhere


def test_callers_of_one_call_have_their_own_outcomes(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    first, second, closed = open_of(customer), open_of(customer), open_of(customer)
    known, _ = alone(engine, origin, closed.id, referenced("known"))
    by_key, _ = alone(engine, keyed(origin, "old"), first.id, referenced("by key"))
    bills.request_close(engine, origin, closed.id)
    closing.close_bill(engine, by_the_system("test"), closed.id, samples=True)
    wanted = [
        asked(origin, first.id, referenced("new")),
        asked(keyed(origin), second.id, referenced("known")),
        asked(origin, second.id, referenced("known too", quantity="7")),
        asked(keyed(origin, "old"), first.id, referenced("by key")),
        asked(origin, first.id, draft()),
        asked(origin, closed.id, referenced("late")),
        asked(replace(origin, key_to_confirm=uuid4()), first.id, referenced("revoked")),
    ]
    found = add_together(engine, wanted, waits=True)
    words = [one.reason if isinstance(one, BillingError) else one and one.replayed for one in found]
    assert words == [False, True, False, True, False, "bill_closed", "invalid_credentials"]
    items = [one.item for one in found if isinstance(one, Added)]
    assert (items[1], items[3]) == (known, by_key)
    for item in items:
        assert reads.line_item(engine, item.bill_id, item.id) == item
    pairs = {("shop", name) for name in ("new", "known", "late", "revoked", "by key", "known too")}
    taken = references.taken(engine, first.id, pairs)
    assert {name for _, name in taken} == {"new", "known", "by key", "known too"}
    log = events.of_subject(engine, first.id, after_version=0, limit=10)
    assert [event.version for event in log] == [1, 2, 3, 4]


def test_one_that_was_asked_for_without_waiting_is_that_item_or_is_rejected(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    first, second = open_of(customer), open_of(customer)
    stored = [requests.store(engine, origin, first.id, referenced(name)) for name in ("a", "b")]
    a, b = (requests.carry_out(engine, first.id, one.id) for one in stored)
    assert (a.state, b.state) == ("added", "added")
    again = requests.store(engine, origin, second.id, referenced("a"))
    assert requests.carry_out(engine, second.id, again.id).item_id == a.item_id
    other = requests.store(engine, origin, second.id, referenced("a", quantity="7"))
    rejected = requests.carry_out(engine, second.id, other.id)
    assert (rejected.state, rejected.error and rejected.error["reason"]) == ("rejected", "reference_reused")
    assert [item.reference for item in lines(engine, first)] == ["a", "b"]


def test_two_ways_at_the_same_instant_charge_once(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    made = [open_of(customer) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for n in range(60):
            wanted = referenced(f"order-{n}")
            racing = [pool.submit(way, engine, origin, bill.id, wanted) for way, bill in zip(WAYS, made, strict=False)]
            found = [one.result() for one in racing]
            assert len({item.id for item, _ in found}) == 1
            assert sorted(replayed for _, replayed in found) == [False, True, True, True]
    assert sum(1 for bill in made for item in lines(engine, bill) if item.reference) == 60


def test_batches_that_race_for_the_same_references_in_other_orders_never_lock_each_other_out(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    made, chance = [open_of(customer) for _ in range(4)], random.Random(7)
    names = [f"order-{n}" for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        for turn in range(6):
            orders = [chance.sample(names, len(names)) for _ in made]
            calls = [
                pool.submit(
                    line_items.add_all, engine, origin, bill.id,
                    [line_items.entry(referenced(f"{turn} {name}"), None) for name in order],
                )
                for bill, order in zip(made, orders, strict=True)
            ]  # fmt: skip
            outcomes = [outcome for call in calls for outcome in call.result().outcomes]
            assert sum(not outcome.replayed for outcome in outcomes if outcome.item) == len(names)
            assert len({outcome.item.id for outcome in outcomes if outcome.item}) == len(names)
            assert not [outcome for outcome in outcomes if outcome.refusal]
    assert sum(len(lines(engine, bill)) for bill in made) == 6 * len(names)


def test_whatever_comes_by_whatever_way_each_reference_is_charged_as_it_first_came(
    engine: Engine, origin: Origin, customer: str, open_of: OpenOf
) -> None:
    """Against the plainest of models, by chance, seeded."""
    chance, made = random.Random(20261123), [open_of(customer) for _ in range(3)]
    first: dict[tuple[str, str], tuple[str, LineItem]] = {}
    for _ in range(150):
        way, bill, quantity = chance.choice(WAYS), chance.choice(made), chance.choice("123")
        pair = (chance.choice(("shop", "meter")), f"order-{chance.randrange(20)}")
        wanted = referenced(pair[1], pair[0], quantity=quantity)
        known = first.get(pair)
        if known is not None and known[0] != quantity:
            with pytest.raises(ReferenceReused):
                way(engine, origin, bill.id, wanted)
            continue
        item, replayed = way(engine, origin, bill.id, wanted)
        assert replayed is (known is not None)
        assert known is None or known[1] == item
        first.setdefault(pair, (quantity, item))
    charged = [item for bill in made for item in lines(engine, bill) if item.reference]
    assert {item.id: item for item in charged} == {item.id: item for _, item in first.values()}
    assert len(charged) == len(first)
    with engine.connect() as connection:
        stored = connection.execute(
            text("SELECT bill_id, item_id FROM line_item_references WHERE customer_id = :id"),
            {"id": made[0].customer.id},
        )
        assert {tuple(row) for row in stored} == {(item.bill_id, item.id) for item in charged}


def lines(engine: Engine, bill: Bill) -> list[LineItem]:
    return reads.items_after(engine, bill.id, position=0, limit=1_000)


def test_who_waits_for_a_reference_refuses_nobody_else(engine: Engine, origin: Origin, open_of: OpenOf) -> None:
    """Somebody's call stopped before it committed: only who wants that very reference is told to try again."""
    customer, other = f"customer-{uuid4().hex}", f"customer-{uuid4().hex}"
    stopped_on, wanted_on = open_of(customer), open_of(customer)
    others = [open_of(other) for _ in range(12)]
    keyless = replace(origin, idempotency_key=None)
    group = GroupCommit(engine)

    def add(bill: Bill, wanted: LineItemDraft) -> str:
        try:
            group.add(keyless, bill.id, wanted)
        except BillingError as refusal:
            return refusal.reason
        return "added"

    asked_for = [(bill, draft("Of somebody else")) for bill in others[:6]]
    asked_for += [(bill, referenced(f"order-{n}")) for n, bill in enumerate(others[6:])]
    asked_for.insert(3, (wanted_on, referenced("stopped")))
    with engine.connect() as stopped:
        line_items.accept(
            line_items.within(stopped), keyless, stopped_on.id, [line_items.entry(referenced("stopped"), None)]
        )
        with ThreadPoolExecutor(len(asked_for)) as pool:
            outcomes = list(pool.map(lambda one: add(*one), asked_for))
        stopped.rollback()

    assert outcomes.pop(3) == "idempotency_in_progress"
    assert outcomes == ["added"] * 12
