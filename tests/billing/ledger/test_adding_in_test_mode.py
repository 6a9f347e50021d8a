"""Items of test bills that come at once: each is stored by itself, and what becomes of one is nobody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.errors import IdempotencyInProgress
from billing.ledger import adding, group_commit, reads
from billing.ledger.adding import Added, Asked, add_together, asked
from billing.ledger.database import transaction
from billing.ledger.group_commit import GroupCommit
from billing.origin import Origin
from tests.support.ledger import draft, keyed

BAD = replace(draft("bad"), total=Decimal(99))


@contextmanager
def locked(engine: Engine, bill: Bill) -> Iterator[None]:
    with transaction(engine) as connection:
        connection.execute(text("SELECT 1 FROM bills WHERE id = :id FOR UPDATE"), {"id": bill.id})
        yield


def test_what_the_database_refuses_is_the_outcome_of_that_one(
    tried: Engine, origin: Origin, open_test_bill: Callable[[], Bill]
) -> None:
    bill = open_test_bill()
    wanted = [asked(keyed(origin), bill.id, one) for one in (draft("first"), BAD, draft("last"))]
    first, refused, last = add_together(tried, wanted, waits=True)
    assert isinstance(first, Added)
    assert isinstance(refused, psycopg.errors.CheckViolation)
    assert isinstance(last, Added)
    assert [item.description for item in reads.items_after(tried, bill.id, position=0, limit=9)] == ["first", "last"]


def test_a_bill_that_stays_locked_is_one_outcome(
    tried: Engine, origin: Origin, open_test_bill: Callable[[], Bill]
) -> None:
    busy, free = open_test_bill(), open_test_bill()
    wanted = [asked(keyed(origin), bill.id, draft()) for bill in (free, busy, free)]
    with locked(tried, busy):
        first, late, last = add_together(tried, wanted, waits=True)
    assert isinstance(late, IdempotencyInProgress)
    assert isinstance(first, Added)
    assert isinstance(last, Added)
    assert reads.bill(tried, free.id).item_count == 2


def test_a_locked_bill_is_not_waited_for_by_a_call_that_waits_for_none(
    tried: Engine, origin: Origin, open_test_bill: Callable[[], Bill]
) -> None:
    busy, free = open_test_bill(), open_test_bill()
    wanted = [asked(keyed(origin), bill.id, draft()) for bill in (busy, free)]
    with locked(tried, busy):
        began_s = time.monotonic()
        left, added = add_together(tried, wanted, waits=False)
        took_s = time.monotonic() - began_s
    assert left is None
    assert isinstance(added, Added)
    assert took_s < 2
    assert reads.bill(tried, busy.id).item_count == 0


def test_those_who_went_together_are_told_each_their_own(
    tried: Engine, origin: Origin, open_test_bill: Callable[[], Bill], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is asked a second time for what is stored already."""
    bill, together = open_test_bill(), GroupCommit(tried)
    sizes: list[int] = []
    both_wait = threading.Event()

    def counted(engine: Engine, everything: list[Asked], *, waits: bool) -> list[adding.Outcome | None]:
        sizes.append(len(everything))
        if len(sizes) == 1:
            both_wait.wait(10)
        return add_together(engine, everything, waits=waits)

    monkeypatch.setattr(group_commit, "add_together", counted)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.add, origin, bill.id, draft("first"))
        rest = []
        for number, one in enumerate((draft("good"), BAD, draft("good too")), start=1):
            rest.append(pool.submit(together.add, origin, bill.id, one))
            while len(together._waiting) < number:
                time.sleep(0.01)
        both_wait.set()
        added = [future.result().item.position for future in (first, rest[0], rest[2])]
        with pytest.raises(psycopg.errors.CheckViolation, match="total_is_exact"):
            rest[1].result()
    assert sizes == [1, 3]
    assert added == [1, 2, 3]
    assert reads.bill(tried, bill.id).item_count == 3
