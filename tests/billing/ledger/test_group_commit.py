"""Items that come together are taken together, and nobody could tell: each has its own outcome, version and event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from billing.bill import Bill, LineItemDraft
from billing.errors import (
    BillClosing,
    BillNotFound,
    IdempotencyKeyReused,
    PeriodEnded,
    Unauthenticated,
)
from billing.ledger import adding, bills, closing, events, group_commit, line_items, reads
from billing.ledger.adding import Added, Asked, add_together, asked
from billing.ledger.database import transaction
from billing.ledger.group_commit import GroupCommit
from billing.origin import Actor, ActorKind, Origin
from tests.support.ledger import OpenBill, draft, ended, keyed

LOCK = text("SELECT 1 FROM bills WHERE id = :id FOR UPDATE")
CALLS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%add_line_items_together%'"


@pytest.fixture
def together(engine: Engine) -> GroupCommit:
    return GroupCommit(engine)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


@contextmanager
def locked(engine: Engine, bill: Bill) -> Iterator[None]:
    with transaction(engine) as connection:
        connection.execute(LOCK, {"id": bill.id})
        yield


def until(holds: Callable[[], object]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def until_somebody_waits_for_the_lock(engine: Engine) -> None:
    def waits() -> bool:
        with transaction(engine) as connection:
            return connection.execute(text(CALLS)).first() is not None

    until(waits)


def in_a_group(
    engine: Engine,
    together: GroupCommit,
    pool: ThreadPoolExecutor,
    bill: Bill,
    wanted: list[tuple[Origin, UUID, LineItemDraft]],
) -> list[Future[Added]]:
    """All of these wait while the bill is locked, and go in one call once the first, which waits for it, is through."""
    with locked(engine, bill):
        first = pool.submit(together.add, *wanted[0])
        until_somebody_waits_for_the_lock(engine)
        rest = []
        for number, one in enumerate(wanted[1:], start=1):
            rest.append(pool.submit(together.add, *one))
            until(lambda number=number: len(together._waiting) == number)
    return [first, *rest]


def calls_counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items each call of the function took."""
    sizes: list[int] = []

    def counted(engine: Engine, everything: list[Asked], *, waits: bool) -> list[adding.Outcome | None]:
        sizes.append(len(everything))
        return add_together(engine, everything, waits=waits)

    monkeypatch.setattr(group_commit, "add_together", counted)
    return sizes


def test_one_that_comes_alone_goes_at_once(together: GroupCommit, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    added = together.add(origin, bill.id, draft())
    assert (added.item.position, added.bill.version, added.replayed) == (1, 2, False)
    assert together._taken == set()
    assert together._under_way == 0


def test_those_that_come_meanwhile_go_in_one_call(
    engine: Engine,
    together: GroupCommit,
    pool: ThreadPoolExecutor,
    origin: Origin,
    open_bill: OpenBill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bill = open_bill()
    sizes = calls_counted(monkeypatch)
    wanted = [(origin, bill.id, draft(f"line {n}")) for n in range(9)]
    added = [future.result() for future in in_a_group(engine, together, pool, bill, wanted)]
    # The first found the bill locked, then waited for it.
    assert sizes == [1, 1, 8]
    assert [one.item.description for one in added] == [f"line {n}" for n in range(9)]


def test_each_answer_is_the_bill_as_its_item_left_it(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill, twin = open_bill(), open_bill()
    drafts = [draft(currency=code, unit_price=f"0.{n + 1}") for n, code in enumerate(["GEL", "USD", "GEL", "EUR"])]
    futures = in_a_group(engine, together, pool, bill, [(origin, bill.id, one) for one in drafts])
    for future, one in zip(futures, drafts, strict=True):
        added, (alone, item, _) = future.result(), line_items.add(engine, origin, twin.id, one)
        assert added.bill.subtotals == alone.subtotals
        assert (added.bill.version, added.bill.item_count) == (alone.version, alone.item_count)
        assert (added.item.position, added.item.added_in_version) == (item.position, item.added_in_version)
        assert added.bill.updated_at == added.item.created_at
    assert futures[-1].result().bill == reads.bill(engine, bill.id)
    assert reads.items_after(engine, bill.id, position=0, limit=10) == [future.result().item for future in futures]


def test_each_item_has_an_event_under_its_own_callers_name(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    origins = [
        replace(origin, actor=Actor(ActorKind.USER, str(n), f"user {n}"), request_id=f"request {n}") for n in range(4)
    ]
    wanted = [(one, bill.id, draft(unit_price=f"0.{n + 1}")) for n, one in enumerate(origins)]
    for future in in_a_group(engine, together, pool, bill, wanted):
        future.result()
    found = events.of_subject(engine, bill.id, after_version=1, limit=10)
    assert [(event.actor.name, event.request_id) for event in found] == [
        (f"user {n}", f"request {n}") for n in range(4)
    ]
    assert [event.version for event in found] == [2, 3, 4, 5]
    assert [event.data["totals"] for event in found] == [{"GEL": total} for total in ("0.6", "1.2", "1.8", "2.4")]
    assert [(event.data["first_position"], event.data["last_position"]) for event in found] == [
        (n, n) for n in range(1, 5)
    ]


def test_a_key_that_comes_twice_in_one_moment_adds_once(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill, asking = open_bill(), keyed(origin)
    wanted = [(origin, bill.id, draft()), *[(asking, bill.id, draft("twice"))] * 2, (asking, bill.id, draft("other"))]
    _, first, again, other = in_a_group(engine, together, pool, bill, wanted)
    assert (first.result().replayed, again.result().replayed) == (False, True)
    assert again.result().item == first.result().item
    with pytest.raises(IdempotencyKeyReused):
        other.result()
    assert reads.bill(engine, bill.id).item_count == 2


def test_a_close_in_between_refuses_those_behind_it(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill, asking = open_bill(), keyed(origin)
    known = line_items.add(engine, asking, bill.id, draft())[1]
    with transaction(engine) as connection:
        connection.execute(LOCK, {"id": bill.id})
        first = pool.submit(together.add, origin, bill.id, draft())
        until_somebody_waits_for_the_lock(engine)
        repeat = pool.submit(together.add, asking, bill.id, draft())
        connection.execute(
            text("UPDATE bills SET status = 'closing', close_requested_at = billing_now() WHERE id = :id"),
            {"id": bill.id},
        )
    with pytest.raises(BillClosing):
        first.result()
    assert (repeat.result().item, repeat.result().replayed) == (known, True)
    assert reads.bill(engine, bill.id).item_count == 1


def test_a_replay_on_a_closed_bill_shows_what_closing_stored(
    engine: Engine, together: GroupCommit, origin: Origin, open_bill: OpenBill
) -> None:
    bill, asking = open_bill(), keyed(origin)
    together.add(asking, bill.id, draft())
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, origin, bill.id, samples=True)
    assert together.add(asking, bill.id, draft()).bill == reads.bill(engine, bill.id)


def test_bills_of_one_call_each_get_what_they_would_get_alone(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    open_, over, unknown = open_bill(), ended(engine, open_bill()), uuid4()
    wanted = [asked(origin, id_, draft()) for id_ in (over.id, open_.id, unknown, open_.id)]
    refused, first, nothing, second = add_together(engine, wanted, waits=True)
    assert isinstance(refused, PeriodEnded)
    assert nothing is None
    assert isinstance(first, Added)
    assert isinstance(second, Added)
    assert (first.bill.item_count, second.bill.item_count) == (1, 2)
    assert second.beside == (first.item, second.item)


def test_a_bill_that_somebody_else_has_locked_keeps_no_other_waiting(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    busy, other = open_bill(), open_bill()
    with locked(engine, busy):
        waiting = pool.submit(together.add, origin, busy.id, draft())
        until_somebody_waits_for_the_lock(engine)
        for _ in range(3):
            together.add(origin, other.id, draft())
        assert not waiting.done()
    assert waiting.result().item.position == 1
    assert reads.bill(engine, other.id).item_count == 3


def test_an_unknown_bill_is_not_found(together: GroupCommit, origin: Origin) -> None:
    with pytest.raises(BillNotFound):
        together.add(origin, uuid4(), draft())


def test_a_row_that_the_database_refuses_fails_alone(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    bad = replace(draft("bad"), total=Decimal(99))
    wanted = [(origin, bill.id, one) for one in (draft("first"), draft("good"), bad, draft("good too"))]
    _, good, refused, good_too = in_a_group(engine, together, pool, bill, wanted)
    assert (good.result().item.position, good_too.result().item.position) == (2, 3)
    with pytest.raises(Exception, match="total_is_exact"):
        refused.result()
    stored = reads.bill(engine, bill.id)
    assert (stored.item_count, stored.version, stored.subtotals) == (3, 4, (("GEL", Decimal("10.8")),))


def test_when_the_database_goes_away_its_call_is_refused_and_the_next_goes_on(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    with locked(engine, bill):
        futures = [pool.submit(together.add, keyed(origin, str(n)), bill.id, draft()) for n in range(4)]
        until_somebody_waits_for_the_lock(engine)
        until(lambda: len(together._waiting) == 3)
        with transaction(engine) as connection:
            query = CALLS.replace("SELECT 1", "SELECT pg_terminate_backend(pid)")
            connection.execute(text(query))
    outcomes = [future.exception() for future in futures]
    assert [type(outcome).__name__ for outcome in outcomes].count("Unavailable") == 1
    added = [together.add(keyed(origin, str(n)), bill.id, draft()) for n in range(4)]
    assert sum(one.replayed for one in added) == 3
    assert reads.bill(engine, bill.id).item_count == 4


def test_sixty_four_threads_at_once_add_up(
    engine: Engine, together: GroupCommit, pool: ThreadPoolExecutor, origin: Origin, open_bill: OpenBill
) -> None:
    targets, start = [open_bill(), open_bill()], threading.Barrier(64)

    def add_some(n: int) -> list[Added]:
        start.wait()
        one = draft(quantity=str(n + 1), unit_price="0.000001")
        return [together.add(keyed(origin), targets[(n + k) % 2].id, one) for k in range(6)]

    added = [one for some in pool.map(add_some, range(64)) for one in some]
    for bill in targets:
        own = sorted((one for one in added if one.bill.id == bill.id), key=lambda one: one.item.position)
        stored = reads.bill(engine, bill.id)
        assert [one.item.position for one in own] == list(range(1, 193))
        assert [one.bill.version for one in own] == list(range(2, 194))
        assert own[-1].bill == stored
        assert stored.subtotals == (("GEL", sum(one.item.total for one in own)),)
        versions = [event.version for event in events.of_subject(engine, bill.id, after_version=0, limit=200)]
        assert versions == list(range(1, 194))


def test_a_key_that_was_revoked_adds_nothing_and_is_told_nothing(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill, gone = open_bill(), replace(keyed(origin), key_to_confirm=uuid4())
    line_items.add(engine, replace(gone, key_to_confirm=None), bill.id, draft())
    wanted = [asked(one, bill.id, draft()) for one in (gone, origin)]
    refused, added = add_together(engine, wanted, waits=True)
    assert isinstance(refused, Unauthenticated)
    assert isinstance(added, Added)
    with pytest.raises(Unauthenticated):
        line_items.add(engine, gone, bill.id, draft())
    assert reads.bill(engine, bill.id).item_count == 2


def test_whoever_waits_too_long_is_told_so_and_adds_nothing(
    engine: Engine,
    together: GroupCommit,
    pool: ThreadPoolExecutor,
    origin: Origin,
    open_bill: OpenBill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bill = open_bill()
    with locked(engine, bill):
        first = pool.submit(together.add, origin, bill.id, draft())
        until_somebody_waits_for_the_lock(engine)
        monkeypatch.setattr(group_commit, "LOCK_TIMEOUT_S", 0.05)
        second = pool.submit(together.add, origin, bill.id, draft())
        assert type(second.exception()).__name__ == "IdempotencyInProgress"
    assert first.result().item.position == 1
    assert together._waiting == []
    assert reads.bill(engine, bill.id).item_count == 1


def test_whoever_waits_for_nobody_but_the_database_is_told_that(
    engine: Engine,
    together: GroupCommit,
    pool: ThreadPoolExecutor,
    origin: Origin,
    open_bill: OpenBill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, slow_too, other = open_bill(), open_bill(), open_bill()
    with transaction(engine) as connection:
        connection.execute(text("LOCK TABLE bill_subtotals IN ACCESS EXCLUSIVE MODE"))
        under_way = [pool.submit(together.add, origin, bill.id, draft()) for bill in (slow, slow_too)]
        until(lambda: together._under_way == 2)
        monkeypatch.setattr(group_commit, "LOCK_TIMEOUT_S", 0.05)
        waiting = pool.submit(together.add, origin, other.id, draft())
        assert type(waiting.exception()).__name__ == "Unavailable"
    assert [future.result().item.position for future in under_way] == [1, 1]
    assert reads.bill(engine, other.id).item_count == 0
