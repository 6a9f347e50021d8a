"""How figures came about: what is shown is enough to compute them again."""

from decimal import Decimal
from fractions import Fraction

import pytest

from billing import money
from billing.ledger import bills, closing
from billing.origin import by_the_system
from tests.support.visitor import HTMX
from webapp.pages.explained import TIMES


def explain(visitor, bill, kind, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return visitor.open(f"/bills/{bill.id}/explanations/{kind}?{text}")


def steps(page):
    """Label, sign and value of each step, the result last."""
    found = []
    for row in page.with_class("reckoning")[0].all("tr"):
        figure = row.money()[0].split()[0] if row.money() else row.with_class("bare")[0].text.replace(",", "")
        found.append((row.with_class("sign")[0].text, row.all("th")[0].text, Decimal(figure)))
    return found


def test_a_line_total_is_quantity_times_price(viewer, new_bill, add):
    bill = new_bill()
    item = add(bill, description="API calls", quantity="2418000", price="0.00000125", code="EUR")
    page = viewer.open(f"/bills/{bill.id}/line-items/{item.id}/explanation")
    (_, _, quantity), (sign, _, price), (_, _, total) = steps(page)
    assert (sign, quantity * price) == (TIMES, total)
    assert "ledger-sync" in page.text


def test_a_subtotal_is_the_sum_of_its_newest_lines_and_what_the_earlier_ones_come_to(viewer, new_bill, add):
    bill = new_bill()
    for n in range(1, 16):
        add(bill, description=f"line {n}", price=f"{n}.001", code="GEL")
        add(bill, description="other", price="9", code="USD")
    page = explain(viewer, bill, "subtotal", of="GEL")
    *parts, (_, label, total) = steps(page)
    assert [label for _, label, _ in parts] == [*(f"line {n}" for n in range(15, 5, -1)), "5 earlier lines"]
    assert label == "Sum of 15 lines"
    assert sum(value for _, _, value in parts) == total == Decimal("120.015")
    (all_lines,) = [link for link in page.all("a") if link.text == "Show the lines"]
    assert all_lines.attributes["href"] == f"/bills/{bill.id}?q=GEL"


def test_a_payable_is_the_subtotal_and_its_rounding(viewer, new_bill, add):
    bill = new_bill()
    add(bill, price="3.0225", code="EUR")
    page = explain(viewer, bill, "payable", of="EUR")
    (_, _, exact), (_, _, rounding), (_, _, payable) = steps(page)
    assert exact + rounding == payable == Decimal("3.02")
    assert "EUR has 2 decimals" in page.text
    assert "half up" in page.text


def test_a_conversion_names_its_rates_and_the_snapshot_they_are_from(viewer, new_bill, add):
    bill = new_bill()
    add(bill, price="145.25", code="GEL")
    page = explain(viewer, bill, "converted", of="GEL", currency="JPY")
    (_, _, payable), (divide, _, rate_from), (times, _, rate_to), (_, _, before), (_, _, converted) = steps(page)
    exact = Fraction(payable) / Fraction(rate_from) * Fraction(rate_to)
    assert (divide, times) == ("÷", TIMES)
    assert 0 <= exact - Fraction(before) < Fraction(1, 10**6)
    assert money.round_to_minor_units(exact, money.currency("JPY")) == converted
    assert "20 Nov 2026, 12:00 UTC" in page.text
    assert "Indicative" in page.text
    assert "01a1f8d3-ea00-7000-8000-000000000001" in page.text
    assert "nothing is converted" in explain(viewer, bill, "converted", of="GEL", currency="GEL").text


def test_the_whole_is_the_sum_of_its_rounded_parts(viewer, new_bill, add):
    bill = new_bill()
    for code in ("GEL", "EUR", "JPY", "USD"):
        add(bill, price="7.77", code=code)
    *legs, (_, _, whole) = steps(explain(viewer, bill, "whole", currency="USD"))
    assert len(legs) == 4
    assert sum(value for _, _, value in legs) == whole


def test_a_closed_bill_explains_itself_by_its_frozen_rates(viewer, new_bill, add, engine, origin):
    bill = new_bill()
    add(bill, code="GEL")
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, by_the_system("r"), bill.id, samples=True)
    assert "Frozen at close" in explain(viewer, bill, "whole", currency="USD").text


def test_a_figure_explains_itself_in_a_dialog_of_the_open_page(viewer, new_bill, add):
    bill = new_bill()
    item = add(bill, code="GEL")
    page = viewer.open(f"/bills/{bill.id}?currency=USD")
    addresses = {link.attributes["hx-get"] for link in [*page.with_class("why"), *page.with_class("ask")]}
    assert len(addresses) == 5
    assert f"/bills/{bill.id}/line-items/{item.id}/explanation" in addresses
    for address in addresses:
        assert viewer.open(address, htmx=True).all("dialog"), address


@pytest.mark.parametrize(
    "figure",
    [
        "subtotal?of=EUR",
        "subtotal?of=%00",
        "payable?of=%00",
        "payable?of=EUR",
        "converted",
        "whole?currency=DOGE",
        "x?of=USD",
    ],
)
def test_a_figure_that_a_bill_doesnt_show_isnt_explained(viewer, new_bill, add, figure):
    bill = new_bill()
    add(bill)
    answer = viewer.client.get(f"/bills/{bill.id}/explanations/{figure}", headers=HTMX)
    assert answer.status_code == (400 if "DOGE" in figure else 404)
