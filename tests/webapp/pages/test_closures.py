"""Closing by hand, and moving a period's end."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.bill import BillStatus
from billing.ledger import bills, closing, reads
from billing.origin import by_the_system
from tests.support.visitor import HTMX
from webapp.pages.element_ids import element_id


def test_the_confirmation_states_what_is_closed_and_at_which_rates(operator, new_bill, add):
    bill = new_bill()
    add(bill, quantity="1", price="3.0225", code="EUR")
    page = operator.open(f"/bills/{bill.id}/closure?shown_currency=USD")
    assert "3.0225 EUR" in page.money()
    assert "-0.0025 EUR" in page.money()
    assert "3.02 EUR" in page.money()
    assert "20 Nov 2026, 12:00 UTC" in page.text
    assert page.form(f"/bills/{bill.id}/closure")["version"] == "2"


def test_a_close_is_taken_as_a_wish_while_temporal_is_away(operator, new_bill, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/closure"
    page = operator.submit(address, address)
    assert reads.bill(engine, bill.id).status is BillStatus.CLOSING
    assert "finishes by itself" in page.id("notices").text
    assert page.with_class("status")[0].text == "Closing"
    assert not page.has("add-row")


def test_a_bill_that_changed_meanwhile_isnt_closed_and_the_confirmation_is_fresh(operator, new_bill, add, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/closure"
    form = operator.open(address).form(address)
    add(bill, price="7")
    for htmx in (True, False):
        page = operator.send(address, form, status=409, htmx=htmx)
        assert "changed meanwhile" in page.with_class("problem")[0].text
        assert "7 USD" in page.money()
    assert reads.bill(engine, bill.id).is_open
    fresh = page.form(address)
    assert fresh["version"] == "2"
    assert fresh["idempotency_key"] != form["idempotency_key"]
    operator.send(address, fresh, status=303)
    assert not reads.bill(engine, bill.id).is_open


def test_confirming_twice_is_as_good_as_once(operator, new_bill):
    bill = new_bill()
    address = f"/bills/{bill.id}/closure"
    form = operator.open(address).form(address)
    for _ in range(2):
        operator.send(address, form, status=303)


def test_from_the_dialog_it_goes_on_to_the_bill(operator, new_bill):
    bill = new_bill()
    address = f"/bills/{bill.id}/closure"
    form = operator.open(address, htmx=True).form(address)
    operator.send(address, form, status=200, htmx=True)
    assert operator.answer.headers["HX-Redirect"] == f"/bills/{bill.id}"


def test_the_periods_end_is_moved_and_the_exact_instant_shown(operator, new_bill, engine):
    bill = new_bill()
    end = (datetime.now(UTC) + timedelta(days=60)).replace(microsecond=0)
    address = f"/bills/{bill.id}/period"
    page = operator.submit(address, address, period_end=end.strftime("%Y-%m-%dT%H:%M:%S"))
    assert reads.bill(engine, bill.id).period.end == end
    assert (
        page.id(element_id(bill, "header")).all("time")[1].attributes["datetime"].startswith(f"{end:%Y-%m-%dT%H:%M:%S}")
    )
    assert page.id("event-2").text.startswith("Period changed")


def test_an_end_in_the_past_is_refused_beside_its_field(operator, new_bill, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/period"
    page = operator.submit(address, address, period_end="2001-01-01T00:00", status=400)
    assert page.has("field-period_end-error")
    assert page.id("field-period_end").attributes["value"] == "2001-01-01T00:00"
    page = operator.submit(address, address, period_end="", status=400)
    assert page.id("field-period_end-error").text == "Period end is required."
    assert reads.bill(engine, bill.id).version == 1


def test_a_bill_that_isnt_open_has_nothing_to_confirm(operator, new_bill, engine, origin):
    bill = new_bill()
    bills.request_close(engine, origin, bill.id)
    for _ in ("closing", "closed"):
        for htmx in (True, False):
            answer = operator.client.get(f"/bills/{bill.id}/closure", headers=HTMX if htmx else None)
            assert "Close this bill?" not in answer.text
            assert answer.headers["HX-Redirect" if htmx else "Location"] == f"/bills/{bill.id}"
        closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)


def test_a_bill_that_isnt_open_offers_no_new_end_and_no_reversal(operator, new_bill, add, engine, origin):
    bill = new_bill()
    item = add(bill)
    bills.request_close(engine, origin, bill.id)
    for form in ("period", f"line-items/{item.id}/reversal"):
        answer = operator.client.get(f"/bills/{bill.id}/{form}")
        assert answer.headers["Location"] == f"/bills/{bill.id}"


def test_a_period_form_fits_a_bill_that_has_accrued_meanwhile(operator, new_bill, add, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/period"
    end = (datetime.now(UTC) + timedelta(days=60)).replace(microsecond=0)
    form = operator.open(address).form(address) | {"period_end": f"{end:%Y-%m-%dT%H:%M:%S}"}
    add(bill)
    operator.send(address, form, status=303)
    assert reads.bill(engine, bill.id).period.end == end


def test_a_period_form_made_before_the_end_was_moved_comes_back_with_what_was_typed(operator, new_bill, engine, origin):
    bill = new_bill()
    address = f"/bills/{bill.id}/period"
    form = operator.open(address).form(address) | {
        "period_end": f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%dT%H:%M}"
    }
    moved = bills.change_period(engine, origin, bill.id, bill.period.end + timedelta(days=1)).bill
    for htmx in (True, False):
        page = operator.send(address, form, status=409, htmx=htmx)
        assert "moved the end meanwhile" in page.with_class("problem")[0].text
        fresh = page.form(address)
        assert fresh["period_end"] == form["period_end"]
    assert reads.bill(engine, bill.id).period.end == moved.period.end
    operator.send(address, fresh, status=303)
    assert reads.bill(engine, bill.id).period.end > moved.period.end


@pytest.mark.parametrize("shown_end", ["", "yesterday"])
def test_a_period_form_that_no_page_made_is_refused(operator, new_bill, shown_end):
    bill = new_bill()
    address = f"/bills/{bill.id}/period"
    form = operator.open(address).form(address) | {"shown_end": shown_end}
    operator.send(address, form, status=400)


def test_the_confirmation_names_the_snapshot_whose_rates_are_frozen(operator, new_bill, add):
    bill = new_bill()
    add(bill, code="GEL")
    page = operator.open(f"/bills/{bill.id}/closure?shown_currency=USD")
    assert "01a1f8d3-ea00-7000-8000-000000000001" in page.with_class("evidence")[0].text
    assert not page.with_class("why")
