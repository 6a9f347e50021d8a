"""Pasting lines from a spreadsheet: a preview, then all good rows in one call."""

import pytest
from flask import request

from billing.bill import BillStatus
from billing.errors import Unauthenticated
from billing.ledger import bills, reads
from webapp.app import LARGEST_FORM
from webapp.pages.element_ids import element_id

ROWS = "Description\tQty\tPrice\tCurrency\nWire fee\t1\t60\tGEL\nCustody\tthirty\t1200\tJPY\nOnboarding\t6\t0,6\tGEL"


def addresses(bill):
    base = f"/bills/{bill.id}/pasted-lines"
    return f"{base}/new", f"{base}/preview", base


def previewed(operator, bill, text=ROWS, *, htmx=False, **values):
    new, preview, _ = addresses(bill)
    form = operator.open(new, htmx=htmx).form(preview)
    return operator.send(preview, {**form, "text": text, **values}, htmx=htmx)


def outcomes(page):
    return [row.with_class("what")[0].text for row in page.with_class("pasted")[0].all("tbody")[0].all("tr")]


def test_the_preview_shows_each_row_or_what_is_wrong_and_stores_nothing(operator, new_bill, engine):
    bill = new_bill()
    page = previewed(operator, bill)
    assert page.all("h1")[0].text == "2 of 3 rows can be added"
    assert outcomes(page) == ["Wire fee", "Custody Quantity must be a decimal number.", "Onboarding"]
    assert "Adds 63.6 GEL" in page.text
    assert reads.bill(engine, bill.id).version == 1


def test_confirming_adds_the_good_rows_in_one_call_and_says_what_became_of_each(operator, new_bill, engine):
    bill = new_bill()
    add = addresses(bill)[2]
    page = operator.send(add, previewed(operator, bill).form(add), status=200)
    assert page.all("h1")[0].text == "2 lines added, 1 left out"
    assert outcomes(page) == ["Wire fee Added", "Custody Quantity must be a decimal number.", "Onboarding Added"]
    stored = reads.bill(engine, bill.id)
    assert (stored.version, stored.item_count) == (2, 2)
    assert [(code, str(sum_)) for code, sum_ in stored.subtotals] == [("GEL", "63.6")]


def test_sending_it_again_adds_nothing_and_says_the_same(operator, new_bill, engine):
    bill = new_bill()
    add = addresses(bill)[2]
    form = previewed(operator, bill).form(add)
    first, second = (operator.send(add, form, status=200) for _ in range(2))
    assert outcomes(first) == outcomes(second)
    assert reads.bill(engine, bill.id).item_count == 2


def test_in_the_dialog_the_open_page_gets_the_new_lines(operator, new_bill):
    bill = new_bill()
    add = addresses(bill)[2]
    dialog = previewed(operator, bill, htmx=True)
    form = dialog.all("dialog")[0].form(add) | {"newest": "0", "oldest": "0", "version": "1", "shown_currency": "GEL"}
    answer = operator.send(add, form, status=200, htmx=True)
    assert "2 lines added" in answer.all("dialog")[0].text
    (rows,) = answer.all("tbody", **{"hx-swap-oob": f"afterbegin:#{element_id(bill, 'items')}"})
    assert [row.money() for row in rows.all("tr")] == [["3.6 GEL"], ["60 GEL"]]
    assert answer.has(element_id(bill, "total-GEL"))


def test_what_is_confirmed_is_what_was_previewed_or_nothing(operator, new_bill, engine):
    bill = new_bill()
    add = addresses(bill)[2]
    form = previewed(operator, bill).form(add)
    page = operator.send(add, {**form, "text": form["text"].replace("60", "600")}, status=409)
    assert "Nothing was added" in page.with_class("problem")[0].text
    assert "Adds 603.6 GEL" in page.text
    assert reads.bill(engine, bill.id).version == 1
    operator.send(add, page.form(add), status=200)
    assert reads.bill(engine, bill.id).item_count == 2


def test_text_that_cant_be_read_is_kept_beside_what_is_wrong(operator, new_bill):
    bill = new_bill()
    page = previewed(operator, bill, "Description,Quantity\nFee,1")
    assert operator.answer.status_code == 400
    assert page.id("paste-text-error").text == "The heading names no unit price."
    assert page.form(addresses(bill)[1])["text"] == "Description,Quantity\nFee,1"


def test_rows_without_a_currency_take_the_chosen_one(operator, new_bill, engine):
    bill = new_bill()
    add = addresses(bill)[2]
    page = previewed(operator, bill, "Fee;1;2,5", currency="EUR")
    operator.send(add, page.form(add), status=200)
    assert [code for code, _ in reads.bill(engine, bill.id).subtotals] == ["EUR"]


def test_a_bill_that_closed_meanwhile_takes_none_and_the_text_is_kept(operator, new_bill, engine, origin):
    bill = new_bill()
    add = addresses(bill)[2]
    form = previewed(operator, bill).form(add)
    bills.request_close(engine, origin, bill.id)
    page = operator.send(add, form, status=409)
    assert "closed and cannot be modified" in page.with_class("problem")[0].text
    assert page.form(addresses(bill)[1])["text"] == ROWS
    assert reads.bill(engine, bill.id).status is BillStatus.CLOSING
    assert operator.client.get(addresses(bill)[0]).status_code == 303


def test_a_thousand_rows_of_long_descriptions_are_taken(operator, new_bill, engine):
    bill = new_bill()
    add = addresses(bill)[2]
    words = "\N{GEORGIAN LETTER AN}" * 200
    text = "\n".join(f"{words} {n}\t1\t0.01\tGEL" for n in range(1_000))
    page = previewed(operator, bill, text)
    operator.send(add, page.form(add), status=200)
    stored = reads.bill(engine, bill.id)
    assert (stored.version, stored.item_count) == (2, 1_000)


def test_only_who_is_let_in_may_send_that_much(app, new_bill):
    for address in addresses(new_bill())[1:]:
        with app.test_request_context(address, method="POST"):
            with pytest.raises(Unauthenticated):
                app.preprocess_request()
            assert request.max_content_length == LARGEST_FORM
