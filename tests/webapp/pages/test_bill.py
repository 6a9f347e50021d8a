"""The page of one bill: its header, totals, lines and what happened."""

from datetime import UTC, datetime

import pytest

from billing.ledger import bills, closing, links
from billing.origin import by_the_system
from billing.period import Period
from tests.support.visitor import HTMX
from webapp.pages.element_ids import element_id


@pytest.fixture
def november(one_day, engine, origin):
    """A bill of the calendar month that is running, whichever it is."""
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return bills.open_bill(engine, origin, "monthly", Period(start, end)).bill


def test_a_bill_of_a_calendar_month_is_called_by_it_and_its_customer_stands_above(operator, november):
    header = operator.open(f"/bills/{november.id}").id(element_id(november, "header"))
    assert header.all("h1")[0].text == f"{november.period.start:%B %Y}"
    assert header.with_class("billed")[0].text == "monthly"
    starts, ends = (time.attributes["datetime"] for time in header.all("time"))
    assert (starts[8:19], ends[8:19]) == ("01T00:00:00", "01T00:00:00")
    (progress,) = header.all("progress")
    assert 0 <= int(progress.attributes["value"]) <= 100
    assert "closes by itself in" in header.text


def test_what_can_be_done_is_offered_to_operators_alone(operator, viewer, november):
    for visitor, offered in ((operator, True), (viewer, False)):
        page = visitor.open(f"/bills/{november.id}")
        assert [page.has(name) for name in ("share-bill", "change-period", "close-bill", "paste-lines", "add-row")] == [
            offered
        ] * 5


def test_a_bill_shows_exact_payable_rounding_and_legs_that_add_up(operator, new_bill, add):
    bill = new_bill()
    add(bill, quantity="6", price="0.6", code="GEL")
    add(bill, quantity="2418000", price="0.00000125", code="EUR")
    add(bill, quantity="1", price="0.5", code="JPY")
    totals = operator.open(f"/bills/{bill.id}?currency=USD").id(element_id(bill, "totals"))
    assert totals.with_class("subtotal")[0].attributes["value"] == "3.0225"
    assert [e.attributes["value"] for e in totals.with_class("payable")] == ["3.02", "3.60", "1"]
    roundings = [row.money() for row in totals.with_class("rounding") if row.tag == "tr"]
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
    assert page.all("h1")[0].text.endswith(f"No. {closed.number}")
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


def test_lines_are_found_by_the_words_of_their_description_or_their_currency(operator, new_bill, add):
    bill = new_bill()
    wire = add(bill, description="Wire fee, 100 % of May", code="GEL")
    card = add(bill, description="Card fee", code="USD")
    for query, found, missed in [
        ("fee+wire", wire, card),
        ("WIRE", wire, card),
        ("100+%25", wire, card),
        ("gel", wire, card),
        ("card", card, wire),
    ]:
        for page in (
            operator.open(f"/bills/{bill.id}?q={query}").id(element_id(bill, "found")),
            operator.open(f"/bills/{bill.id}/line-items?q={query}", htmx=True),
        ):
            assert page.has(element_id(found, "found")), query
            assert not page.has(element_id(missed, "found")), query
    assert operator.answer.headers["HX-Replace-Url"] == f"/bills/{bill.id}?q=card"


def test_a_search_that_finds_nothing_says_so_and_none_is_no_search(operator, new_bill, add):
    bill = new_bill()
    item = add(bill)
    for words in ("nothing", "_", "%25", "%00", "\\"):
        page = operator.open(f"/bills/{bill.id}?q={words}")
        assert "No line says" in page.id(element_id(bill, "found")).text
        assert page.has(element_id(item))
    assert "data-search" not in operator.open(f"/bills/{bill.id}?q=+").id(element_id(bill, "found")).attributes


def test_older_lines_of_a_search_come_page_by_page(operator, new_bill, add):
    bill = new_bill()
    wanted = [add(bill, description=f"{'wire' if n % 2 else 'card'} {n}") for n in range(110)][1::2]
    page = operator.open(f"/bills/{bill.id}?q=wire")
    rows = page.id(element_id(bill, "found")).all("tr")
    assert [row.attributes["id"] for row in rows] == [element_id(item, "found") for item in reversed(wanted[5:])]
    (older,) = [link for link in page.id("found-more").all("a") if link.text == "Search older lines"]
    for page in (
        operator.open(older.attributes["hx-get"], htmx=True),
        operator.open(older.attributes["href"]).id(element_id(bill, "found")),
    ):
        rows = [row for row in page.all("tr") if row.attributes["id"].endswith("found")]
        assert [row.attributes["id"] for row in rows] == [element_id(item, "found") for item in reversed(wanted[:5])]


def test_a_search_and_the_currency_of_the_whole_stay_in_the_address_together(operator, new_bill, add):
    bill = new_bill()
    add(bill)
    headers = {**HTMX, "HX-Current-URL": f"http://localhost/bills/{bill.id}?q=fee&before=3"}
    answer = operator.client.get(f"/bills/{bill.id}/totals?currency=EUR", headers=headers)
    assert answer.headers["HX-Replace-Url"] == f"/bills/{bill.id}?q=fee&currency=EUR"


def test_sharing_and_revoking_stand_among_what_happened(operator, new_bill, add, engine, origin):
    bill = new_bill()
    add(bill)
    links.create(engine, origin, bill.id)
    add(bill)
    events = operator.open(f"/bills/{bill.id}").id(element_id(bill, "events")).all("li")
    assert [event.all("b")[0].text for event in events] == ["Added", "Shared", "Added", "Opened"]


def test_an_item_says_that_an_integrator_added_it(operator, new_bill, add):
    bill = new_bill()
    item = add(bill)
    assert "API · ledger-sync" in operator.open(f"/bills/{bill.id}").id(element_id(item)).text
