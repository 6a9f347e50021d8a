"""Who sends the bills is copied into each at its closing."""

from __future__ import annotations

from sqlalchemy import Engine

from billing.bill import Seller
from billing.ledger import bills, closing, reads, seller
from billing.origin import Origin
from tests.support.ledger import OpenBill


def test_a_change_concerns_later_bills_only(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    closed = []
    for name in ("Before LLC", "After LLC"):
        seller.change(engine, origin, seller.parse(name, "1 Street", "GE 1"))
        opened = open_bill()
        bills.request_close(engine, origin, opened.id)
        closing.close_bill(engine, origin, opened.id, samples=True)
        closed.append(opened.id)
    assert seller.read(engine) == Seller("After LLC", "1 Street", "GE 1")
    assert [reads.bill(engine, id_).seller for id_ in closed] == [
        Seller("Before LLC", "1 Street", "GE 1"),
        Seller("After LLC", "1 Street", "GE 1"),
    ]
