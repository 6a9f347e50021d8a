"""The feed: all public events once, in the log's order, whatever commits late."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from sqlalchemy import Engine

from billing.errors import InvalidArgument
from billing.ledger import bills, epochs, events, feed, line_items, links
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.events import LogPosition
from billing.ledger.public_events import PUBLIC, event_id
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft

ALL = PUBLIC.keys()


def read_all(
    engine: Engine, after: LogPosition = feed.BEGINNING, types: Collection[str] = ALL, limit: int = 3
) -> list[str]:
    """The ids of all events after a position, page by page."""
    found: list[str] = []
    while True:
        page = feed.page(engine, None, after, types, limit=limit)
        found += [event["id"] for event in page.events]
        after = page.reached
        if not page.has_more:
            return found


def end(engine: Engine) -> LogPosition:
    return feed.head(engine)


def test_every_public_event_of_every_subject_once_and_in_order(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    start = end(engine)
    one, other = open_bill(), open_bill()
    for bill in (one, other, one, other, one):
        line_items.add(engine, origin, bill.id, draft())
    links.create(engine, origin, one.id)
    bills.request_close(engine, origin, one.id)

    found = read_all(engine, start)

    assert [id_ for id_ in found if str(one.id) in id_] == [event_id(one.id, version) for version in range(1, 6)]
    assert [id_ for id_ in found if str(other.id) in id_] == [event_id(other.id, version) for version in range(1, 4)]
    # Beside them the two customers; the link is nobody else's business.
    assert len(found) == len(set(found)) == 5 + 3 + 2


def test_a_page_of_some_types_goes_on_where_it_stopped_looking(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOOKED_THROUGH", 4)
    start, bill = end(engine), open_bill()
    for _ in range(10):
        line_items.add(engine, origin, bill.id, draft())
    bills.request_close(engine, origin, bill.id)

    first = feed.page(engine, None, start, ["bill.close_requested"], limit=3)

    assert (list(first.events), first.has_more) == ([], True)
    assert read_all(engine, start, ["bill.close_requested"]) == [event_id(bill.id, 12)]


def test_an_event_that_commits_late_is_not_passed_over(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    slow, quick = open_bill(), open_bill()
    start = end(engine)
    with transaction(engine) as connection:
        events.append(connection, origin, "bill.created", ("bill", slow.id), 2, now(connection))
        line_items.add(engine, origin, quick.id, draft())
        page = feed.page(engine, None, start, ALL, limit=9)
        assert (list(page.events), page.reached, feed.head(engine)) == ([], start, start)
    assert read_all(engine, page.reached) == [event_id(slow.id, 2), event_id(quick.id, 2)]


def test_a_position_is_what_was_written() -> None:
    position = LogPosition(2**40, 17)

    assert feed.parse(feed.written(3, position)) == (3, position)
    assert feed.parse(None) == (None, feed.BEGINNING)


SOME = feed.written(0, LogPosition(1, 2))
TOO_HIGH = feed.written(0, LogPosition(2**63, 2))


@pytest.mark.parametrize(
    "text", ["", "0", "17", "AQ", "AQAAAAA", f"{SOME}A", SOME[:-1], f"{SOME}=", TOO_HIGH, "é" * 28, "A" * 28, "-1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        feed.parse(text)
    assert (refused.value.reason, refused.value.field) == ("invalid_position", "after")


def test_a_position_that_no_transaction_has_reached_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidArgument) as refused:
        feed.page(engine, 0, LogPosition(2**50, 1), ALL, limit=1)
    assert refused.value.reason == "position_lost"


def test_a_restored_ledger_refuses_positions_of_the_one_before(engine: Engine, open_bill: OpenBill) -> None:
    """What came after the backup is gone, and other events have its positions now."""
    open_bill()
    page = feed.page(engine, 0, feed.BEGINNING, ALL, limit=1)
    begun = epochs.begin(engine, "test", [])

    with pytest.raises(InvalidArgument) as refused:
        feed.page(engine, page.epoch, page.reached, ALL, limit=1)

    assert refused.value.reason == "position_lost"
    assert feed.page(engine, begun.epoch, page.reached, ALL, limit=1).epoch == begun.epoch
