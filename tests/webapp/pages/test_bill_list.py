"""The list of bills: filters, orders, pages, what stays in the address."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from billing.ledger import bill_list, bills, closing, customers
from billing.origin import by_the_system
from tests.support.visitor import HTMX
from webapp.pages.element_ids import element_id


@contextmanager
def counted(visitor):
    """The statements that run meanwhile."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    engine = visitor.client.application.extensions["pave"].engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def rows(page):
    return [row.attributes["id"] for row in page.all("tbody")[0].all("tr")]


def test_bills_are_listed_newest_first_fifty_a_page(operator, new_bill, add):
    made = [new_bill("crowd") for _ in range(55)]
    add(made[-1], quantity="6", price="0.6", code="GEL")
    first = operator.open("/bills?customer=crowd")
    assert rows(first) == [element_id(bill) for bill in reversed(made[5:])]
    assert first.id(element_id(made[-1])).money() == ["3.6 GEL"]
    assert not first.all("a", rel="first")
    (older,) = first.all("a", rel="next")
    second = operator.open(older.attributes["href"])
    assert rows(second) == [element_id(bill) for bill in reversed(made[:5])]
    assert not second.all("a", rel="next")
    (back,) = second.all("a", rel="first")
    assert back.attributes["href"] == "/bills?customer=crowd"


@pytest.mark.parametrize("sort", ["number", "-number", "customer", "-customer", "period_end", "-period_end", "created"])
def test_every_order_has_its_pages(operator, new_bill, engine, origin, monkeypatch, sort):
    name = f"sorted-{sort}"
    now = datetime.now(UTC)
    made = [new_bill(f"{name}-{n % 2}", end=now + timedelta(days=2 + n % 3)) for n in range(7)]
    for bill in made[:3]:
        bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, by_the_system("r"), bill.id, samples=True)
    whole = rows(operator.open(f"/bills?q={name}&sort={sort}"))
    assert sorted(whole) == sorted(element_id(bill) for bill in made)
    monkeypatch.setattr("webapp.pages.bill_list.BILLS_A_PAGE", 2)
    address, found = f"/bills?q={name}&sort={sort}", []
    while address:
        page = operator.open(address)
        found += rows(page)
        address = next((a.attributes["href"] for a in page.all("a", rel="next")), None)
    assert found == whole


def test_headings_say_how_the_list_is_sorted_and_sort_it(operator, new_bill):
    new_bill("headings")
    page = operator.open("/bills?customer=headings")
    assert page.all("th", **{"aria-sort": "descending"})[0].text == "Created (UTC)"
    number = page.id("sort-number").attributes["href"]
    assert number == "/bills?customer=headings&sort=-number"
    page = operator.open(number)
    (sorted_by,) = [th for th in page.all("th") if "aria-sort" in th.attributes]
    assert (sorted_by.text, sorted_by.attributes["aria-sort"]) == ("Number", "descending")
    assert page.id("sort-number").attributes["href"] == "/bills?customer=headings&sort=number"
    assert page.id("sort-customer").attributes["href"] == "/bills?customer=headings&sort=customer"
    assert page.form("/bills")["sort"] == "-number"


@pytest.mark.parametrize("place", ["tampered", "~", "x~{id}", "-1~{id}", f"{10**19}~{{id}}", "{id}~{id}"])
def test_there_is_no_page_at_a_mangled_place(operator, new_bill, place):
    bill = new_bill()
    for sort in ("-number", "period_end"):
        operator.open(f"/bills?sort={sort}&after={place.format(id=bill.id)}", status=404)
    operator.open("/bills?after=tampered", status=404)


def test_an_unknown_order_is_the_usual_one(operator, new_bill):
    bill = new_bill()
    for sort in ("updated", "--number", "-", "\0"):
        assert rows(operator.open(f"/bills?sort={sort}"))[0] == element_id(bill)


def test_filters_narrow_the_list_and_stay_in_the_form(operator, new_bill, add):
    wanted, other = new_bill("filter-one"), new_bill("filter-two")
    add(wanted, code="KWD")
    for query in ("q=ilter-on", "currency=KWD", "customer=filter-one", f"q={wanted.id}", f"q={str(wanted.id)[:30]}"):
        page = operator.open(f"/bills?{query}")
        assert page.has(element_id(wanted)), query
        assert not page.has(element_id(other)), query
    page = operator.open("/bills?status=closed&q=filter&from=2026-01-01&to=2026-01-02")
    assert page.form("/bills")["status"] == "closed"
    assert page.all("select", name="status")[0].all("option", value="closed")[0].attributes.get("selected") == ""
    assert "No bills match" in page.id("bill-list").text


def test_each_filter_that_is_set_can_be_taken_away(operator, new_bill):
    new_bill("chips")
    page = operator.open("/bills?q=chips&status=open&currency=GEL&in=USD&sort=-period_end")
    chips = {chip.attributes["aria-label"]: chip.attributes["href"] for chip in page.with_class("chip")}
    assert chips == {
        "Remove the filter Status: Open": "/bills?q=chips&currency=GEL&in=USD&sort=-period_end",
        "Remove the filter Currency: GEL": "/bills?q=chips&status=open&in=USD&sort=-period_end",
        "Remove the filter Whole in: USD": "/bills?q=chips&status=open&currency=GEL&sort=-period_end",
    }
    assert "Clear all" in page.id("bill-list").text


def test_a_filter_that_cant_be_right_is_said_beside_it(operator):
    page = operator.open("/bills?from=2026-02-31", status=400)
    assert page.id("filter-from-error").text.startswith("Not a date")
    assert "open" in page.id("filter-panel").attributes
    assert page.with_class("chip"), "what is wrong can be taken away"
    assert operator.open("/bills?status=lost", status=400).has("filter-status-error")
    assert operator.open("/bills?in=DOGE", status=400).has("filter-in-error")


@pytest.mark.parametrize("name", ["q", "customer", "currency"])
def test_a_filter_that_postgresql_cant_store_finds_nothing(operator, name):
    assert "No bills match" in operator.open(f"/bills?{name}=%00").id("bill-list").text


def test_typing_replaces_the_address_and_choosing_adds_one_to_go_back_from(operator, new_bill):
    bill = new_bill("typed-search")
    typing = {**HTMX, "HX-Trigger-Name": "q"}
    answer = operator.client.get("/bills?q=typed-sea&status=&currency=&sort=", headers=typing)
    assert element_id(bill) in answer.text
    assert "<html" not in answer.text
    assert answer.headers["HX-Replace-Url"] == "/bills?q=typed-sea"
    assert "HX-Push-Url" not in answer.headers
    assert "HX-Request" in answer.headers["Vary"]
    page = operator.open("/bills?q=typed-sea&status=open", htmx=True)
    assert operator.answer.headers["HX-Push-Url"] == "/bills?q=typed-sea&status=open"
    assert page.id("export-bills").attributes["href"] == "/bills.csv?q=typed-sea&status=open"


def test_going_back_gets_a_whole_page(operator):
    answer = operator.client.get("/bills", headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<!doctype html>" in answer.text


def test_the_list_shows_the_whole_of_each_bill_in_a_chosen_currency(operator, new_bill, add):
    bill = new_bill("whole")
    add(bill, code="USD", price="2.005")
    row = operator.open("/bills?customer=whole&in=USD").id(element_id(bill))
    assert row.money() == ["2.005 USD", "2.01 USD"]


def test_a_viewer_chooses_nothing(operator, viewer, new_bill):
    new_bill("to-look-at")
    assert operator.open("/bills?customer=to-look-at").all("input", name="bill")
    page = viewer.open("/bills?customer=to-look-at")
    assert not page.all("input", name="bill")
    assert not page.has("selection")
    assert page.has("export-bills")


def test_names_are_no_markup(operator, new_bill, engine, origin):
    bill = new_bill("<b>id</b>")
    customers.edit(engine, origin, "<b>id</b>", {"name": '<img src=x onerror="1">'})
    assert '<img src=x onerror="1">' in operator.open("/bills").id(element_id(bill)).text
    assert "<img src=x" not in operator.answer.text


@pytest.mark.usefixtures("nothing_to_remember_anew")
def test_a_longer_page_asks_the_database_no_oftener(operator, new_bill, engine):
    """However many bills it has: what is read for each of them would be read for fifty."""
    for _ in range(3):
        new_bill("few")
    with counted(operator) as few:
        operator.open("/bills?customer=few&in=USD")
    for _ in range(20):
        new_bill("few")
    with counted(operator) as many:
        operator.open("/bills?customer=few&in=USD")
    assert len(many) <= len(few)
    assert len(bill_list.bills(engine, bill_list.BillFilter(customer_id="few"), limit=100)) == 23
