"""Lines of one bill as somebody looks for them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import Engine

from billing.errors import BillNotFound
from billing.identifiers import new_id
from billing.ledger import bill_lines, line_items
from billing.origin import Origin
from tests.support.ledger import OpenBill, draft


def test_every_word_has_to_be_there_and_a_currency_is_one(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill, other = open_bill(), open_bill()
    for description, code in [("Wire fee, May", "GEL"), ("Wire fee, June", "USD"), ("Card fee, May", "GEL")]:
        line_items.add(engine, origin, bill.id, draft(description, currency=code))
        line_items.add(engine, origin, other.id, draft(description, currency=code))

    def found(text: str) -> list[str]:
        searched = bill_lines.search(engine, bill.id, text, limit=10)
        assert all(item.bill_id == bill.id for item in searched.items)
        return [item.description for item in searched.items]

    assert found("wire") == ["Wire fee, June", "Wire fee, May"]
    assert found("MAY wire") == ["Wire fee, May"]
    assert found("fee gel") == ["Card fee, May", "Wire fee, May"]
    assert found("ge") == []
    assert found("%") == found("_") == found("\\") == []


def test_a_search_reads_so_many_lines_and_says_where_to_go_on(
    engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill_lines, "MOST_READ", 10)
    bill = open_bill()
    for n in range(1, 26):
        line_items.add(engine, origin, bill.id, draft("wanted" if n in {2, 3} else f"line {n}"))
    first = bill_lines.search(engine, bill.id, "wanted", limit=1)
    assert (first.items, first.older) == ([], 16)
    second = bill_lines.search(engine, bill.id, "wanted", limit=1, before=16)
    assert (second.items, second.older) == ([], 6)
    third = bill_lines.search(engine, bill.id, "wanted", limit=1, before=6)
    assert ([item.position for item in third.items], third.older) == ([3], 3)
    last = bill_lines.search(engine, bill.id, "wanted", limit=1, before=3)
    assert ([item.position for item in last.items], last.older) == ([2], None)


def test_the_parts_of_a_subtotal_are_all_of_it(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    bill = open_bill()
    for n in range(1, 8):
        _, item, _ = line_items.add(engine, origin, bill.id, draft(unit_price=f"{n}.000001"))
        line_items.add(engine, origin, bill.id, draft(currency="USD"))
    after, _, _ = line_items.reverse(engine, origin, bill.id, item.id, "wrong")
    parts = bill_lines.subtotal_parts(engine, bill.id, "GEL", newest=3)
    assert [part.position for part in parts.newest] == [15, 13, 11]
    assert parts.earlier_count == 5
    total = sum((part.total for part in parts.newest), parts.earlier_total)
    assert total == dict(after.subtotals)["GEL"] == Decimal("126.000036")
    nothing = bill_lines.subtotal_parts(engine, bill.id, "EUR", newest=3)
    assert (nothing.newest, nothing.earlier_count, nothing.earlier_total) == ([], 0, 0)


def test_an_unknown_bill_isnt_found(engine: Engine) -> None:
    with pytest.raises(BillNotFound):
        bill_lines.search(engine, new_id(), "fee", limit=1)
    with pytest.raises(BillNotFound):
        bill_lines.subtotal_parts(engine, new_id(), "GEL", newest=1)
