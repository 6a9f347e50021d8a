"""What happened to a bill as people read it."""

from __future__ import annotations

from sqlalchemy import Engine

from billing.ledger import line_items, links, timeline
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft


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
    seen, before = [], 13
    while True:
        page = timeline.read(engine, bill.id, before_version=before, limit=5)
        seen += page.events
        if page.older is None:
            break
        before = page.older
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
