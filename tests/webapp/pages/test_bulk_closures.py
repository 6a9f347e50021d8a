"""Closing many bills at once."""

from uuid import uuid4

import pytest

from billing.bill import BillStatus
from billing.ledger import bills, closing, events, reads
from billing.origin import by_the_system
from webapp.bulk_closing import MOST_AT_ONCE
from webapp.pages.element_ids import element_id

ACTION = "/bills/closures"


def preview(operator, *chosen, status=200):
    return operator.open(f"{ACTION}/new?" + "&".join(f"bill={id_}" for id_ in chosen), status=status)


def sent(page):
    """What the page's form sends: its own fields, and each bill with the version shown."""
    form = page.form(ACTION)
    return {**form, "bill": [box.attributes["value"] for box in page.all("input", name="bill")]}


def test_the_preview_states_bills_versions_and_totals_per_currency(operator, new_bill, add):
    one, two, three = new_bill("bulk-one"), new_bill("bulk-two"), new_bill("bulk-three")
    add(one, price="1.005", code="USD")
    add(two, price="1.005", code="USD")
    add(two, price="0.5", code="JPY")
    page = preview(operator, one.id, two.id, three.id)
    assert page.all("h1")[0].text == "Close 3 bills?"
    together = page.all("section", **{"aria-labelledby": "sums-title"})[0]
    # Each is rounded by itself: 1.01 twice.
    assert together.money() == ["0.5 JPY", "0.5 JPY", "1 JPY", "2.01 USD", "0.01 USD", "2.02 USD"]
    assert "They are samples" in together.text
    assert sent(page)["bill"] == [f"{one.id}~2", f"{two.id}~3", f"{three.id}~1"]


def test_confirming_takes_a_wish_for_each_and_says_so(operator, new_bill, engine):
    made = [new_bill(), new_bill()]
    page = operator.send(ACTION, sent(preview(operator, *[bill.id for bill in made])), status=200)
    assert page.all("h1")[0].text == "2 bills take no more lines"
    for bill in made:
        assert reads.bill(engine, bill.id).status is BillStatus.CLOSING
        assert "Closing" in page.id(element_id(bill)).text
        wish = events.of_subject(engine, bill.id, after_version=1, limit=9)[0]
        assert (wish.type, wish.actor.name) == ("bill.close_requested", "operator@example.com")


def test_a_bill_that_changed_meanwhile_is_left_open_and_named(operator, new_bill, add, engine):
    steady, changed = new_bill("bulk-steady"), new_bill("bulk-changed")
    form = sent(preview(operator, steady.id, changed.id))
    add(changed)
    page = operator.send(ACTION, form, status=200)
    assert page.all("h1")[0].text == "1 bill takes no more lines, 1 left open"
    refused = page.all("section", **{"aria-labelledby": "refused-title"})[0].text
    assert "bulk-changed" in refused
    assert "Changed meanwhile" in refused
    assert reads.bill(engine, changed.id).is_open
    assert not reads.bill(engine, steady.id).is_open


def test_nothing_closed_is_a_conflict(operator, new_bill, add):
    bill = new_bill()
    form = sent(preview(operator, bill.id))
    add(bill)
    assert "left open" in operator.send(ACTION, form, status=409).all("h1")[0].text


def test_sent_again_with_its_key_it_says_the_same_and_changes_nothing(operator, new_bill, add, engine):
    steady, changed = new_bill(), new_bill()
    form = sent(preview(operator, steady.id, changed.id))
    add(changed)
    titles = {operator.send(ACTION, form, status=200).all("h1")[0].text for _ in range(2)}
    assert titles == {"1 bill takes no more lines, 1 left open"}
    closing.close_bill(engine, by_the_system("r"), steady.id, samples=True)
    assert "Closed" in operator.send(ACTION, form, status=200).id(element_id(steady)).text
    assert reads.bill(engine, steady.id).version == 3
    assert reads.bill(engine, changed.id).version == 2


def test_what_cant_be_closed_is_named_with_the_reason(operator, new_bill, engine, origin):
    fine, wished, closed = new_bill(), new_bill("bulk-wished"), new_bill("bulk-closed")
    for bill in (wished, closed):
        bills.request_close(engine, origin, bill.id)
    number = closing.close_bill(engine, by_the_system("r"), closed.id, samples=True).number
    page = preview(operator, fine.id, wished.id, closed.id, uuid4())
    refused = page.all("section", **{"aria-labelledby": "refused-title"})[0].text
    assert "bulk-wished Is closing already." in refused
    assert f"bulk-closed Is closed, No. {number}." in refused
    assert "There is no such bill." in refused
    assert sent(page)["bill"] == [f"{fine.id}~1"]
    nothing = preview(operator, closed.id)
    assert nothing.all("h1")[0].text == "Nothing to close"
    assert not nothing.has("close-bills")


def test_a_bill_chosen_twice_is_there_once(operator, new_bill):
    bill = new_bill()
    assert sent(preview(operator, bill.id, bill.id))["bill"] == [f"{bill.id}~1"]


def test_no_more_than_a_hundred_at_once(operator, new_bill):
    bill = new_bill()
    page = preview(operator, bill.id, *[uuid4() for _ in range(MOST_AT_ONCE)])
    assert "1 more were chosen" in page.text
    form = sent(preview(operator, bill.id))
    operator.send(ACTION, {**form, "bill": [f"{uuid4()}~1" for _ in range(MOST_AT_ONCE + 1)]}, status=400)


@pytest.mark.parametrize("choice", ["", "x", "{id}", "{id}~", "{id}~-1", "{id}~1e3", "{id}~" + "9" * 30])
def test_what_no_form_of_ours_sends_closes_nothing(operator, new_bill, engine, choice):
    bill = new_bill()
    form = sent(preview(operator, bill.id))
    operator.send(ACTION, {**form, "bill": [choice.format(id=bill.id)]}, status=400)
    assert reads.bill(engine, bill.id).is_open


def test_without_a_choice_it_goes_back_to_the_list(operator):
    assert operator.client.get(f"{ACTION}/new").headers["Location"] == "/bills"
