"""What stands in every row: exact in what it says, and never markup by what goes into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from flask import Flask, url_for

from tests.support.ledger import OpenBill
from webapp.pages import elements

INSTANT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def test_a_figure_is_grouped_and_its_value_is_plain() -> None:
    assert elements.money(Decimal("-1234567.50"), "USD") == (
        '<data class="money " value="-1234567.5"><span class="figure">\N{MINUS SIGN}1,234,567.5</span>'
        ' <span class="code">USD</span></data>'
    )
    assert 'value="1234.00"' in elements.money(Decimal(1234), "USD", payable=True)
    assert '<data class="money payable"' in elements.money(Decimal(1), "USD", **{"class": "payable"})


def test_what_is_no_code_is_no_markup() -> None:
    assert "<b>" not in elements.money(Decimal(1), "<b>")
    assert '"><' not in elements.money(Decimal(1), "USD", **{"class": '"><b'}).split("value")[0]


def test_instants_are_said_to_the_minute_and_known_exactly() -> None:
    exact = "2026-02-03T04:05:06.000789Z"
    assert elements.when(INSTANT) == f'<time datetime="{exact}" title="{exact}">3 Feb 2026, 04:05</time>'
    assert elements.when(INSTANT, year=False) == f'<time datetime="{exact}" title="{exact}">3 Feb, 04:05</time>'
    assert "04:05:06.000789 <span" in elements.moment(INSTANT)


def test_cells_say_what_their_parts_say(open_bill: OpenBill) -> None:
    bill = replace(open_bill(), subtotals=(("EUR", Decimal("1234.5")), ("USD", Decimal(-1))))
    start, end = elements.when(bill.period.start), elements.when(bill.period.end)
    assert elements.span(bill.period) == f'{start} <span class="to">to</span> {end}'
    figures = [elements.money(subtotal, code) for code, subtotal in bill.subtotals]
    assert elements.sums(bill) == f"{figures[0]} {figures[1]} "
    assert "<b>" not in elements.sums(replace(bill, subtotals=(("<b>", Decimal(1)),)))


def test_addresses_are_those_of_the_routes(app: Flask, open_bill: OpenBill) -> None:
    bill = open_bill()
    with app.test_request_context("/"):
        for _ in range(2):
            assert elements.bill_address(bill) == url_for("pages.show_bill", bill_id=bill.id)
            assert elements.bill_address(open_bill()) != elements.bill_address(bill)
        item = type("Item", (), {"id": uuid4()})()
        for endpoint in ("pages.explain_line_item", "pages.new_reversal"):
            expected = url_for(endpoint, bill_id=bill.id, item_id=item.id)
            assert elements.line_address(item, endpoint, bill) == expected
