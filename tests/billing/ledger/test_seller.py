"""Who sends the bills is copied into each at its closing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from billing.bill import Bill, Seller
from billing.errors import VersionConflict
from billing.ledger import bills, closing, reads, seller
from billing.logo import Logo
from billing.origin import Origin
from tests.support.ledger import OpenBill
from tests.support.pictures import jpeg, png


def closed(engine: Engine, origin: Origin, bill: Bill) -> Bill:
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, origin, bill.id, samples=True)
    return reads.bill(engine, bill.id)


def test_a_change_concerns_later_bills_only(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    ids = []
    for name in ("Before LLC", "After LLC"):
        seller.change(engine, origin, seller.parse(name, "1 Street", "GE 1"))
        ids.append(closed(engine, origin, open_bill()).id)
    assert seller.read(engine) == Seller("After LLC", "1 Street", "GE 1")
    assert [reads.bill(engine, id_).seller for id_ in ids] == [
        Seller("Before LLC", "1 Street", "GE 1"),
        Seller("After LLC", "1 Street", "GE 1"),
    ]


def test_a_closed_bill_keeps_its_logo(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    first, second = Logo.parse(png()), Logo.parse(jpeg())
    named = seller.parse("Pave", "", "")
    seller.change(engine, origin, named, new_logo=first)
    with_first = closed(engine, origin, open_bill())
    seller.change(engine, origin, named, new_logo=second)
    with_second = closed(engine, origin, open_bill())
    seller.change(engine, origin, named)
    without = closed(engine, origin, open_bill())
    assert [bill.seller and bill.seller.logo for bill in (with_first, with_second, without)] == [
        first.hash,
        second.hash,
        None,
    ]
    assert seller.logo(engine, first.hash) == first
    assert seller.logo(engine, second.hash) == second
    assert seller.logo(engine, "0" * 64) is None


def test_bills_closed_before_there_were_logos_are_read(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = closed(engine, origin, open_bill())
    with engine.begin() as connection:
        connection.execute(text("UPDATE bills SET seller = seller - 'logo' WHERE id = :id"), {"id": bill.id})
    found = reads.bill(engine, bill.id).seller
    assert found is not None
    assert found.logo is None


def test_a_change_says_what_it_changed_and_nothing_changed_says_nothing(engine: Engine, origin: Origin) -> None:
    seller.change(engine, origin, seller.parse("One", "", ""))
    seller.change(engine, origin, replace(seller.parse("One", "2 Street", ""), logo=None), new_logo=Logo.parse(png()))
    current, version = seller.read_version(engine)
    seller.change(engine, origin, current, expected_version=1)
    event = seller.last_change(engine)
    assert event is not None
    assert (event.version, event.data["fields"]) == (version, ["address", "logo"])


def test_who_has_not_seen_the_latest_change_changes_nothing(engine: Engine, origin: Origin) -> None:
    seller.change(engine, origin, seller.parse("Mine", "", ""))
    _, seen = seller.read_version(engine)
    seller.change(engine, origin, seller.parse("Theirs", "", ""), expected_version=seen)
    with pytest.raises(VersionConflict):
        seller.change(engine, origin, seller.parse("Mine again", "", ""), expected_version=seen)
    assert seller.read(engine).name == "Theirs"


def test_the_database_keeps_no_picture_under_anothers_hash(engine: Engine) -> None:
    row = {"hash": "0" * 64, "content": png()}
    insert = text("INSERT INTO logos (hash, kind, content, width, height) VALUES (:hash, 'image/png', :content, 1, 1)")
    with pytest.raises(IntegrityError, match="hash_of_content"), engine.begin() as connection:
        connection.execute(insert, row)
