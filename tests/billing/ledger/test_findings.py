"""Findings are kept while they last: one of a kind a bill, first and last seen, resolved by being seen no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from billing.ledger import findings, rounds
from billing.ledger.consistency import OF_THE_LEDGER, OF_WORKFLOWS, Difference, Kind
from billing.ledger.database import transaction
from tests.support.ledger import OpenBill

ONE, OTHER = uuid4(), uuid4()


@pytest.fixture(autouse=True)
def _nothing_found(engine: Engine) -> Iterator[None]:
    yield
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM findings"))


def note(engine: Engine, *found: Difference, bill_ids: list[UUID] | None = None) -> None:
    findings.note(engine, found, kinds=OF_WORKFLOWS, bill_ids=bill_ids or [ONE, OTHER])


def test_seen_again_it_is_the_same_finding_with_its_newest_cause(engine: Engine) -> None:
    note(engine, Difference(ONE, "of version 2", Kind.BEHIND))
    (first,) = findings.still_open(engine, after=None, limit=10)
    note(engine, Difference(ONE, "of version 3", Kind.BEHIND))
    (again,) = findings.still_open(engine, after=None, limit=10)

    assert (again.id, again.first_seen, again.cause) == (first.id, first.first_seen, "of version 3")
    assert again.last_seen > first.last_seen


def test_several_of_a_kind_about_one_bill_are_one(engine: Engine) -> None:
    note(engine, Difference(ONE, "EUR", Kind.SUMS), Difference(ONE, "USD", Kind.SUMS), Difference(ONE, "x", Kind.AHEAD))

    assert findings.counts(engine) == {Kind.SUMS: 1, Kind.AHEAD: 1}
    assert {found.cause for found in findings.still_open(engine, after=None, limit=10)} == {"EUR; USD", "x"}


def test_only_what_was_looked_at_is_resolved(engine: Engine) -> None:
    note(engine, Difference(ONE, "a", Kind.BEHIND), Difference(OTHER, "b", Kind.BEHIND))
    findings.note(engine, [Difference(None, "a gap", Kind.NUMBERS)], kinds=OF_THE_LEDGER, bill_ids=None)

    note(engine, bill_ids=[ONE])

    assert findings.counts(engine) == {Kind.BEHIND: 1, Kind.NUMBERS: 1}
    (resolved,) = findings.resolved(engine, limit=10)
    assert (resolved.bill_id, resolved.resolved_at is not None) == (ONE, True)
    findings.note(engine, [], kinds=OF_THE_LEDGER, bill_ids=None)
    assert findings.counts(engine) == {Kind.BEHIND: 1}


def test_what_comes_back_is_a_new_finding(engine: Engine) -> None:
    for found in ([Difference(ONE, "a", Kind.WEDGED)], [], [Difference(ONE, "b", Kind.WEDGED)]):
        note(engine, *found)

    assert [found.cause for found in findings.still_open(engine, after=None, limit=10)] == ["b"]
    assert [found.cause for found in findings.resolved(engine, limit=10)] == ["a"]


def test_what_is_found_about_bills_that_are_not_there_takes_no_place_of_those_that_are(
    engine: Engine, open_bill: OpenBill
) -> None:
    note(engine, Difference(ONE, "it runs", Kind.NO_BILL), Difference(OTHER, "it runs", Kind.NO_BILL))
    found = open_bill()
    note(engine, Difference(found.id, "of version 2", Kind.BEHIND))
    with transaction(engine) as connection:
        connection.execute(text("UPDATE reconciler SET due_at = now(), after_bill = :id"), {"id": found.id})

    claimed = rounds.claim(engine, every=timedelta(0), ledger_every=timedelta(hours=1), rolling=1, urgent=1)

    assert claimed is not None
    assert found.id in {bill.id for bill in claimed.bills}
