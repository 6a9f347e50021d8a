"""The list of bills, a new one, the page of one."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.ledger import bills, closing
from billing.origin import by_the_system
from tests.support.visitor import HTMX
from webapp.pages.element_ids import element_id


def tomorrow():
    return (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


def open_form(operator, **typed):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")
    typed = {"customer_id": "acme", "period_start": now, "period_end": tomorrow(), **typed}
    return operator.submit("/bills/new", "/bills", **typed)


def test_a_bill_is_opened_for_a_customer_that_nobody_knew(operator, engine):
    page = open_form(operator, customer_id="brand-new")
    assert page.all("h1")[0].text == "brand-new"
    assert tomorrow() in page.all("time")[1].attributes["datetime"]
    assert page.with_class("status")[0].text == "Open"


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"customer_id": " "}, "customer_id", "Customer is required."),
        ({"period_start": ""}, "period_start", "Period start is required."),
        ({"period_end": "2020-01-01T00:00"}, "period_end", "Period end must be after period start."),
        ({"period_end": "soon"}, "period_end", "Period end must be a date and a time, such as 2026-12-01 00:00."),
        ({"period_end": "2040-01-01T00:00"}, "period_end", "The period cannot be longer than 366 days."),
    ],
)
def test_a_mistake_stands_beside_its_field_and_everything_typed_is_kept(operator, typed, field, sentence):
    page = open_form(operator, **typed)
    assert operator.answer.status_code == 400
    assert page.id(f"field-{field}-error").text == sentence
    shown = page.id(f"field-{field}").attributes
    assert shown["aria-invalid"] == "true"
    assert shown["aria-describedby"].split()[0] == f"field-{field}-error"
    assert page.form("/bills") | typed == page.form("/bills")


def test_sending_the_form_twice_opens_one_bill(operator):
    form = operator.open("/bills/new").form("/bills")
    values = {**form, "customer_id": "twice", "period_start": "2026-11-01T00:00", "period_end": tomorrow()}
    places = [(operator.send("/bills", values, status=303), operator.went_to)[1] for _ in range(2)]
    assert places[0] == places[1]


def test_bills_are_listed_newest_first_fifty_a_page(operator, new_bill, add):
    made = [new_bill("crowd") for _ in range(55)]
    add(made[-1], quantity="6", price="0.6", code="GEL")
    first = operator.open("/bills?customer=crowd")
    rows = first.all("tbody")[0].all("tr")
    assert [row.attributes["id"] for row in rows] == [element_id(bill) for bill in reversed(made[5:])]
    assert rows[0].money() == ["3.6 GEL"]
    (older,) = first.all("a", rel="next")
    second = operator.open(older.attributes["href"])
    assert len(second.all("tbody")[0].all("tr")) == 5
    assert not second.all("a", rel="next")


def test_filters_narrow_the_list_and_stay_in_the_form(operator, new_bill, add):
    wanted, other = new_bill("filter-one"), new_bill("filter-two")
    add(wanted, code="KWD")
    for query in ("q=ilter-on", "currency=KWD", "customer=filter-one", f"q={wanted.id}"):
        page = operator.open(f"/bills?{query}")
        assert page.has(element_id(wanted)), query
        assert not page.has(element_id(other)), query
    page = operator.open("/bills?status=closed&q=filter&from=2026-01-01&to=2026-01-02")
    assert page.form("/bills")["status"] == "closed"
    assert page.all("select", name="status")[0].all("option", value="closed")[0].attributes.get("selected") == ""
    assert "No bills match" in page.id("bill-list").text


def test_a_filter_that_cant_be_right_is_said_beside_it(operator):
    page = operator.open("/bills?from=2026-02-31", status=400)
    assert page.id("filter-from-error").text.startswith("Not a date")
    assert operator.open("/bills?status=lost", status=400).has("filter-status-error")
    assert operator.open("/bills?in=DOGE", status=400).has("filter-in-error")
    assert operator.open("/bills?before=tampered", status=404)


def test_typing_into_the_search_swaps_the_list_and_keeps_the_address_in_step(operator, new_bill):
    bill = new_bill("typed-search")
    page = operator.open("/bills?q=typed-sea&status=&currency=", htmx=True)
    assert page.parts[0].attributes["id"] == "bill-list"
    assert page.has(element_id(bill))
    assert operator.answer.headers["HX-Replace-Url"] == "/bills?q=typed-sea"
    assert "HX-Request" in operator.answer.headers["Vary"]


def test_the_list_shows_the_whole_of_each_bill_in_a_chosen_currency(operator, new_bill, add):
    bill = new_bill("whole")
    add(bill, code="USD", price="2.005")
    row = operator.open("/bills?customer=whole&in=USD").id(element_id(bill))
    assert row.money() == ["2.005 USD", "2.01 USD"]


def test_a_bill_shows_exact_payable_rounding_and_legs_that_add_up(operator, new_bill, add):
    bill = new_bill()
    add(bill, quantity="6", price="0.6", code="GEL")
    add(bill, quantity="2418000", price="0.00000125", code="EUR")
    add(bill, quantity="1", price="0.5", code="JPY")
    totals = operator.open(f"/bills/{bill.id}?currency=USD").id(element_id(bill, "totals"))
    assert totals.with_class("subtotal")[0].attributes["value"] == "3.0225"
    assert [e.attributes["value"] for e in totals.with_class("payable")] == ["3.02", "3.60", "1"]
    roundings = [row.money() for row in totals.all("tr", class_="rounding")]
    assert roundings == [["-0.0025 EUR"], ["0.5 JPY"]]
    legs = [e.attributes["value"] for e in totals.with_class("leg")]
    (whole,) = totals.with_class("whole")
    assert whole.attributes["value"] == f"{sum(map(float, legs)):.2f}"
    assert "Indicative" in totals.text
    assert "Sample rates" in totals.text


def test_figures_are_grouped_for_people_and_plain_for_programs(operator, new_bill, add):
    bill = new_bill()
    add(bill, quantity="1864600", price="0.001", code="KWD")
    totals = operator.open(f"/bills/{bill.id}").id(element_id(bill, "totals"))
    assert totals.with_class("subtotal")[0].text == "1,864.6 KWD"
    assert totals.with_class("payable")[0].text == "1,864.600 KWD"
    assert totals.with_class("payable")[0].attributes["value"] == "1864.600"


def test_the_totals_are_swapped_for_another_currency(operator, new_bill, add):
    bill = new_bill()
    add(bill)
    page = operator.open(f"/bills/{bill.id}/totals?currency=JPY", htmx=True)
    assert page.parts[-1 if isinstance(page.parts[-1], str) is False else -2].attributes["id"] == element_id(
        bill, "totals"
    )
    assert operator.answer.headers["HX-Replace-Url"] == f"/bills/{bill.id}?currency=JPY"
    operator.open(f"/bills/{bill.id}?currency=DOGE", status=400)


def test_nobodys_text_is_markup(operator, new_bill, add):
    bill = new_bill("<b>bold</b>")
    add(bill, description="<script>alert(1)</script>")
    page = operator.open(f"/bills/{bill.id}")
    assert "<b>bold</b>" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert "<script>alert" not in operator.answer.text
    assert "<b>bold" not in operator.answer.text


def test_older_lines_come_page_by_page(operator, new_bill, add):
    bill = new_bill()
    items = [add(bill, description=f"line {n}") for n in range(1, 56)]
    page = operator.open(f"/bills/{bill.id}")
    rows = page.id(element_id(bill, "items")).all("tr")
    assert [row.attributes["id"] for row in rows] == [element_id(item) for item in reversed(items[5:])]
    fragment = operator.open(f"/bills/{bill.id}/line-items?before=6", htmx=True)
    assert [row.attributes["id"] for row in fragment.all("tr")] == [element_id(item) for item in reversed(items[:5])]
    assert fragment.id("oldest-item").attributes["value"] == "1"
    without_script = operator.open(f"/bills/{bill.id}?before=6")
    assert len(without_script.id(element_id(bill, "items")).all("tr")) == 5


def test_a_closed_bill_shows_its_number_and_frozen_rates_and_no_control(operator, new_bill, add, engine, origin):
    bill = new_bill()
    item = add(bill, code="GEL")
    bills.request_close(engine, origin, bill.id)
    closed = closing.close_bill(engine, by_the_system("r"), bill.id, samples=True)
    page = operator.open(f"/bills/{bill.id}?currency=USD")
    assert page.all("h1")[0].text == f"Bill No. {closed.number}"
    assert "Frozen at close" in page.id(element_id(bill, "totals")).text
    assert not page.with_class("act-reverse")
    assert not page.has("add-row")
    assert page.has(element_id(item))
    assert "hx-get" not in page.id(element_id(bill, "live")).attributes


def test_events_say_who_did_what_when(operator, new_bill, add):
    bill = new_bill()
    for _ in range(10):
        add(bill)
    page = operator.open(f"/bills/{bill.id}")
    newest = page.id("event-11")
    assert newest.text.startswith("Added 1 USD")
    assert "ledger-sync" in newest.text
    assert not page.has("event-1")
    older = operator.open(f"/bills/{bill.id}/events?before=4", htmx=True)
    assert older.id("event-1").text.startswith("Opened")
    assert operator.open(f"/bills/{bill.id}/events").has("event-11")


def test_the_workflow_is_unavailable_and_the_page_is_there_all_the_same(operator, new_bill):
    bill = new_bill()
    assert operator.open(f"/bills/{bill.id}").has(element_id(bill, "workflow"))
    card = operator.open(f"/bills/{bill.id}/workflow", htmx=True)
    assert "goes on accruing" in card.text
    assert "goes on accruing" in operator.open(f"/bills/{bill.id}/workflow").text


def test_going_back_gets_a_whole_page(operator):
    answer = operator.client.get("/bills", headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<!doctype html>" in answer.text


@pytest.mark.parametrize("place", ["9223372036854775808", "9" * 23, "9" * 5_000, "-1", "-9223372036854775809", "x", ""])
def test_a_mangled_place_in_an_address_is_as_none(operator, new_bill, add, place):
    bill = new_bill()
    item = add(bill)
    for query in (f"before={place}", f"added={place}"):
        assert operator.open(f"/bills/{bill.id}?{query}").has(element_id(item))
    assert operator.open(f"/bills/{bill.id}/line-items?before={place}", htmx=True).has(element_id(item))
    assert operator.open(f"/bills/{bill.id}/events?before={place}").has("event-2")
    for name in ("newest", "oldest", "version"):
        operator.open(f"/bills/{bill.id}/changes?{name}={place}", htmx=True)


@pytest.mark.parametrize("name", ["q", "customer", "currency"])
def test_a_filter_that_postgresql_cant_store_finds_nothing(operator, name):
    assert "No bills match" in operator.open(f"/bills?{name}=%00").id("bill-list").text
