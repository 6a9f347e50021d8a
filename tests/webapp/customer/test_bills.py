"""The page of a bill under a customer's link."""

from __future__ import annotations

import re
from uuid import uuid4

import psycopg
import pytest
from flask.testing import FlaskClient

from billing.bill import Bill
from billing.ledger import line_items, seller
from tests.support.ledger import OpenBill, draft
from tests.support.page import Element, parse
from tests.support.sharing import LINES, Sharing
from tests.support.watching import watching
from webapp.customer.followed import CustomerView
from webapp.customer.showing import LINES_A_PAGE
from webapp.live.views import pieces_of
from webapp.pages.element_ids import element_id

HOSTILE = '<script>alert(1)</script> & "quoted" {{ 7 * 7 }}'


def opened(client: FlaskClient, address: str) -> Element:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def table(page: Element, caption: str) -> Element:
    return next(e for e in page.all("table") if e.all("caption") and e.all("caption")[0].text.startswith(caption))


def test_an_open_bill_says_what_it_comes_to_and_that_it_is_not_final(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    page = opened(client, sharing.address(bill))
    assert "Open, still accruing" in page.text
    assert "This bill is not final" in page.text
    assert "no tax is computed" in page.text
    assert page.id(element_id(bill, "payable")).money() == ["3.02 EUR", "3.60 GEL", "36000 JPY"]
    assert table(page, "In each currency").money()[:3] == ["3.0225 EUR", "-0.0025 EUR", "3.02 EUR"]
    assert bill.customer.external_id in page.text


def test_each_line_says_how_its_amount_was_computed_oldest_first(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    rows = opened(client, sharing.address(bill)).id("lines").all("tbody")[0].all("tr")
    assert ["Card processing" in rows[0].text, "Custody" in rows[2].text] == [True, True]
    assert "2,418,000 \N{MULTIPLICATION SIGN} 0.00000125 = 3.0225 EUR" in rows[1].text


def test_the_whole_bill_is_shown_in_the_currency_of_the_readers_choice_with_its_evidence(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    address = sharing.address(bill)
    page = opened(client, f"{address}?currency=GEL")
    legs = table(page, "The whole bill in GEL, indicative").money()
    # By the samples: 3.02 EUR / 0.8596 x 2.7052, 36,000 JPY / 154.62 x 2.7052; both rounded, then added.
    assert legs == ["3.02 EUR", "9.50 GEL", "3.60 GEL", "3.60 GEL", "36000 JPY", "629.85 GEL", "642.95 GEL"]
    assert page.id(element_id(bill, "whole")).money() == ["642.95 GEL"]
    assert "Indicative" in page.text
    assert "Sample rates, not for real bills" in page.text
    assert "20 Nov 2026, 12:00" in page.id(element_id(bill, "whole")).text
    assert page.all("option", selected="")[0].text == "GEL"
    assert f"{address}/bill.pdf?currency=GEL" in [link.attributes["href"] for link in page.all("a")]


@pytest.mark.parametrize("currency", ["XXX", "usd", "", "USD'--", "\0"])
def test_a_currency_that_is_none_gives_the_usual_one(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill, currency: str
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    answer = client.get(sharing.address(bill), query_string={"currency": currency})
    assert answer.status_code == 200
    assert parse(answer.text).all("option", selected="")[0].text == "USD"


def test_currencies_have_their_own_minor_units(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, ("Yen", "1", "0.5", "JPY"), ("Dinar", "3", "0.4255", "KWD"))
    page = opened(client, sharing.address(bill))
    assert page.id(element_id(bill, "payable")).money() == ["1 JPY", "1.277 KWD"]
    assert table(page, "In each currency").money() == [
        *("0.5 JPY", "0.5 JPY", "1 JPY"),
        *("1.2765 KWD", "0.0005 KWD", "1.277 KWD"),
    ]


def test_a_closed_bill_shows_what_it_was_closed_with(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, *LINES)
    seller.change(sharing.engine, sharing.origin, seller.parse("Before LLC", "1 Street", "GE 405"))
    sharing.close(bill)
    seller.change(sharing.engine, sharing.origin, seller.parse("After LLC", "2 Street", "GE 406"))
    page = opened(client, sharing.address(bill))
    assert re.search(r"Bill No\. \d+", page.all("h1")[0].text)
    assert "This bill is final" in page.text
    assert "Rates frozen at close" in page.text
    assert "Before LLC" in page.text
    assert "GE 405" in page.text
    assert "After LLC" not in page.text
    assert "data-stream" not in page.id("live").attributes


def test_a_line_taken_back_stays_legible_with_its_reason(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    items = sharing.add(bill, *LINES)
    reversing = sharing.reverse(items[1], "Entered twice")
    page = opened(client, sharing.address(bill))
    assert "taken back by line 4" in page.id(element_id(items[1])).text
    assert "takes back line 2: Entered twice" in page.id(element_id(reversing)).text
    assert page.id(element_id(reversing)).money() == ["-3.0225 EUR"]


def test_a_long_bill_is_read_page_by_page(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add_many(bill, 2 * LINES_A_PAGE + 5)
    seen: list[str] = []
    address: str | None = sharing.address(bill)
    while address:
        page = opened(client, address)
        seen += re.findall(r"Fee \d+", page.id("lines").all("tbody")[0].text)
        following = page.all("a", rel="next")
        address = following[0].attributes["href"].partition("#")[0] if following else None
    assert seen == [f"Fee {n}" for n in range(1, 2 * LINES_A_PAGE + 6)]
    assert "Lines 201 to 205 of 205" in page.text
    assert page.all("a", rel="prev")[0].attributes["href"].endswith(f"after={LINES_A_PAGE}#lines")


def test_a_reversal_on_another_page_is_named_by_its_line(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    (first,) = sharing.add(bill, LINES[0])
    sharing.add_many(bill, LINES_A_PAGE)
    sharing.reverse(first, "Entered twice")
    address = sharing.address(bill)
    assert f"taken back by line {LINES_A_PAGE + 2}" in opened(client, address).text
    assert "takes back line 1: Entered twice" in opened(client, f"{address}?after={LINES_A_PAGE}").text


def test_an_empty_bill_says_so(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    address = sharing.address(bill)
    assert "Nothing is charged yet" in opened(client, address).text
    sharing.close(bill)
    assert "Nothing was charged" in opened(client, address).text


def test_an_address_past_the_last_line_leads_back(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, *LINES)
    page = opened(client, f"{sharing.address(bill)}?after=7")
    assert "There are no lines here" in page.text
    assert page.id(element_id(bill, "payable")).money() == ["3.02 EUR", "3.60 GEL", "36000 JPY"]


def test_nobodys_words_are_markup(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    items = sharing.add(bill, (HOSTILE, "1", "1", "USD"))
    sharing.reverse(items[0], HOSTILE)
    seller.change(sharing.engine, sharing.origin, seller.parse(HOSTILE, HOSTILE, "GE"))
    answer = client.get(sharing.address(bill))
    assert "<script>alert" not in answer.text
    page = parse(answer.text)
    assert page.text.count(HOSTILE) >= 4


def test_there_is_nothing_of_the_console_in_it(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, *LINES)
    answer = client.get(sharing.address(bill))
    page = parse(answer.text)
    assert not page.with_class("rail")
    assert "Pave" not in answer.text
    assert "csrf" not in answer.text
    assert not [a for a in page.all("a") if not a.attributes["href"].startswith(("/b/", "#"))]
    assert not page.all("form", method="post")
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", answer.text)
    loaded = set(re.findall(r"/assets/\w+/([\w.]+)", answer.text))
    assert loaded <= {"customer.css", "customer.js", "htmx.js", "fonts.css", "inter.woff2", "inter.ttf"}


def test_a_page_asks_for_changes_and_hears_of_none_until_there_are(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    address = sharing.address(bill)
    live = opened(client, address).id("live")
    state = {e.attributes["name"]: e.attributes["value"] for e in live.all("input")}
    assert client.get(f"{address}/changes", query_string=state).status_code == 204
    sharing.add(bill, ("Late fee", "1", "1", "USD"))
    changed = client.get(f"{address}/changes", query_string=state)
    assert changed.status_code == 200
    page = parse(changed.text)
    assert [row.text.split(" 22 ")[0][:10] for row in page.with_class("fresh")] == ["4 Late fee"]
    assert page.id(element_id(bill, "payable")).money() == ["3.02 EUR", "3.60 GEL", "36000 JPY", "1.00 USD"]
    assert client.get(f"{address}/changes", query_string={**state, "currency": "GEL"}).status_code == 200


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """What the database is asked from now on."""
    heard: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(cursor, query, *given, **options):
        heard.append(str(query))
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    return heard


def state_of(page: Element) -> dict[str, str]:
    state = {e.attributes["name"]: e.attributes["value"] for e in page.id("live").all("input")}
    return {**state, "currency": page.all("option", selected="")[0].text}


def test_to_be_told_of_nothing_new_costs_one_small_query(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill, statements: list[str]
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    address = sharing.address(bill)
    state = state_of(opened(client, address))
    assert client.get(f"{address}/changes", query_string=state).status_code == 204
    del statements[:]
    assert client.get(f"{address}/changes", query_string=state).status_code == 204
    assert not [one for one in statements if "line_items" in one]
    assert len([one for one in statements if "FROM bills" in one]) == 1


def test_who_was_told_of_a_change_is_not_answered_with_what_was_before(
    app, client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    address = sharing.address(bill)
    state = state_of(opened(client, address))
    with watching(app.extensions["pave"], bill):
        told = app.extensions["pave"].live.standing(bill.id).changes
        sharing.add(bill, *LINES)
        answer = client.get(f"{address}/changes", query_string={**state, "told": str(told + len(LINES))})
    assert answer.status_code == 200


def test_what_a_stream_brings_is_what_the_page_would_have_asked_for(
    app, client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add(bill, *LINES)
    address = sharing.address(bill)
    state = state_of(opened(client, address))
    view = CustomerView(bill.id, uuid4(), address.rpartition("/")[2], state["currency"], 0, app.extensions["pave"])
    with watching(app.extensions["pave"], bill, view) as heard:
        sharing.add(bill, LINES[0])
        said = heard.next("news")
    assert said["from"] == state["seen"]
    asked = client.get(f"{address}/changes", query_string=state).text
    told = pieces_of(said["html"])
    assert {*told} <= {*pieces_of(asked)}
    assert [piece.count("<tr id=") for piece in told if "#charged" in piece] == [1]
    assert said["seen"] == re.search('name="seen" value="([^"]*)"', asked)[1]


@pytest.mark.parametrize(("before", "added", "after", "new_on_page"), [(70, 120, 0, 30), (190, 130, 100, 10)])
def test_a_stream_brings_lines_between_those_shown_and_the_newest(
    app, client: FlaskClient, sharing: Sharing, open_bill: OpenBill, before, added, after, new_on_page
):
    """One call adds more than are read to follow the bill, and the page ends before the newest of them."""
    bill = open_bill()
    address = sharing.address(bill)
    add_in_one_call(sharing, bill, before)
    view = CustomerView(bill.id, uuid4(), address.rpartition("/")[2], "USD", after, app.extensions["pave"])
    with watching(app.extensions["pave"], bill, view) as heard:
        add_in_one_call(sharing, bill, added)
        said = heard.next("news")
    (rows,) = [piece for piece in pieces_of(said["html"]) if "#charged" in piece]
    assert rows.count("<tr id=") == new_on_page


def add_in_one_call(sharing: Sharing, bill: Bill, count: int) -> None:
    line_items.add_all(sharing.engine, sharing.origin, bill.id, [line_items.entry(draft(), None) for _ in range(count)])


def test_a_page_hears_of_another_seller_and_of_the_end_of_the_bill(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    address = sharing.address(bill)
    state = state_of(opened(client, address))
    seller.change(sharing.engine, sharing.origin, seller.parse("Renamed LLC", "", ""))
    changed = client.get(f"{address}/changes", query_string=state)
    assert changed.status_code == 200
    assert "Renamed LLC" in changed.text
    state = state_of(opened(client, address))
    sharing.close(bill)
    changed = client.get(f"{address}/changes", query_string=state)
    assert changed.status_code == 200
    assert "This bill is final" in changed.text
