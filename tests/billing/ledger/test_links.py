"""Share links: made and revoked with their events, and found only while they work."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Engine

from billing.errors import BillNotFound, LinkNotFound, TooManyLinks
from billing.identifiers import new_id
from billing.ledger import events, links
from billing.origin import Origin
from tests.support.ledger import OpenBill, keyed


def told(engine: Engine, link: links.ShareLink) -> list[tuple[str, str, int, str]]:
    found = events.of_subject(engine, link.id, after_version=0, limit=10)
    return [(event.type, event.subject_type, event.version, event.data["bill_id"]) for event in found]


def test_a_link_is_found_until_it_is_revoked(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    link, replayed = links.create(engine, origin, bill.id)
    assert not replayed
    assert links.live(engine, link.id) == link
    assert link.bill_id == bill.id

    revoked = links.revoke(engine, origin, bill.id, link.id)
    assert revoked.revoked_at is not None
    with pytest.raises(LinkNotFound):
        links.live(engine, link.id)


def test_making_and_revoking_are_events_that_name_the_bill(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    link, _ = links.create(engine, origin, bill.id)
    assert told(engine, link) == [("link.created", "link", 1, str(bill.id))]
    links.revoke(engine, origin, bill.id, link.id)
    links.revoke(engine, origin, bill.id, link.id)
    assert told(engine, link)[1:] == [("link.revoked", "link", 2, str(bill.id))]


def test_a_repeat_makes_no_second_link(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill, again = open_bill(), keyed(origin)
    first, _ = links.create(engine, again, bill.id)
    second, replayed = links.create(engine, again, bill.id)
    assert (second, replayed) == (first, True)
    assert len(links.of_bill(engine, bill.id)) == 1


def test_a_link_of_another_bill_is_not_revoked(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    link, _ = links.create(engine, origin, open_bill().id)
    with pytest.raises(LinkNotFound):
        links.revoke(engine, origin, open_bill().id, link.id)
    assert links.live(engine, link.id) == link


def test_what_does_not_exist_is_refused(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    with pytest.raises(BillNotFound):
        links.create(engine, origin, uuid4())
    with pytest.raises(LinkNotFound):
        links.revoke(engine, origin, open_bill().id, new_id())
    with pytest.raises(LinkNotFound):
        links.live(engine, new_id())


def test_those_that_work_are_listed_first_with_who_made_them(
    engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    bill = open_bill()
    made = [links.create(engine, origin, bill.id)[0] for _ in range(3)]
    links.revoke(engine, origin, bill.id, made[2].id)
    listed = links.of_bill(engine, bill.id)
    assert [row.link.id for row in listed] == [made[1].id, made[0].id, made[2].id]
    assert {row.created_by for row in listed} == {"ledger-sync"}


def test_a_bill_takes_only_so_many_at_once(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST_LINKS", 2)
    bill = open_bill()
    first, _ = links.create(engine, origin, bill.id)
    links.create(engine, origin, bill.id)
    with pytest.raises(TooManyLinks):
        links.create(engine, origin, bill.id)
    links.revoke(engine, origin, bill.id, first.id)
    links.create(engine, origin, bill.id)
