"""What happened to a bill as people read it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from billing.ledger import line_items, links, timeline
from billing.ledger.events import Event
from billing.ledger.timeline import Place
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft

HIGHEST = 2**63 - 1


def read_whole(engine: Engine, bill_id: UUID, *, limit: int) -> list[Event]:
    """Page by page, each of them full but the last."""
    page = timeline.read(engine, bill_id, before=Place(HIGHEST, None), limit=limit)
    seen = list(page.events)
    while page.older:
        assert len(page.events) == limit
        page = timeline.read(engine, bill_id, before=page.older, limit=limit)
        seen += page.events
    return seen


def test_links_alone_are_paged_too_newest_first_whichever_of_them_it_concerns(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    first, second = (links.create(engine, origin, bill.id)[0] for _ in range(2))
    for link in (second, first):
        links.revoke(engine, origin, bill.id, link.id)
    for _ in range(30):
        link, _ = links.create(engine, origin, bill.id)
        links.revoke(engine, origin, bill.id, link.id)
    seen = read_whole(engine, bill.id, limit=8)
    assert len(seen) == len({(event.subject_id, event.version) for event in seen}) == 65
    assert [event.occurred_at for event in seen] == sorted((event.occurred_at for event in seen), reverse=True)
    oldest = [(event.subject_id, event.type) for event in seen[-5:]]
    assert oldest == [
        (first.id, "link.revoked"),
        (second.id, "link.revoked"),
        (second.id, "link.created"),
        (first.id, "link.created"),
        (bill.id, "bill.created"),
    ]


def test_a_page_that_was_begun_goes_on_where_it_was_whatever_happens_meanwhile(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    for _ in range(4):
        links.create(engine, origin, bill.id)
    page = timeline.read(engine, bill.id, before=Place(HIGHEST, None), limit=2)
    links.create(engine, origin, bill.id)
    line_items.add(engine, origin, bill.id, draft())
    assert page.older is not None
    after = timeline.read(engine, bill.id, before=page.older, limit=8)
    assert [event.type for event in after.events] == ["link.created", "link.created", "bill.created"]
    assert not {event.subject_id for event in after.events} & {event.subject_id for event in page.events}


def test_pages_of_it_have_every_event_of_the_bill_and_its_links_once_in_order(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill, other = open_bill(), open_bill()
    links.create(engine, origin, other.id)
    for n in range(11):
        line_items.add(engine, origin, bill.id, draft(f"line {n}"))
        if n % 4 == 0:
            link, _ = links.create(engine, origin, bill.id)
    links.revoke(engine, origin, bill.id, link.id)
    seen = read_whole(engine, bill.id, limit=5)
    assert [event.occurred_at for event in seen] == sorted((event.occurred_at for event in seen), reverse=True)
    assert [event.version for event in seen if event.subject_type == "bill"] == list(range(12, 0, -1))
    assert [event.type for event in seen if event.subject_type == "link"] == ["link.revoked", *["link.created"] * 3]


def test_authors_are_told_by_the_versions_they_made(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    for _ in range(3):
        line_items.add(engine, origin, bill.id, draft())
    authors = timeline.authors(engine, bill.id, {2, 4, 99})
    assert {version: actor.name for version, actor in authors.items()} == {2: "ledger-sync", 4: "ledger-sync"}
    assert timeline.authors(engine, bill.id, set()) == {}
