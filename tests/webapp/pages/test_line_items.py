"""Adding lines and taking them back."""

import pytest

from billing.ledger import bills, closing, reads
from billing.origin import by_the_system
from webapp.pages.element_ids import element_id


def typed(**values):
    return {"description": "Card fee", "quantity": "6", "unit_price": "0.6", "currency": "GEL", **values}


def addresses(bill):
    return f"/bills/{bill.id}", f"/bills/{bill.id}/line-items"


def subtotals(engine, bill):
    return {code: str(amount) for code, amount in reads.bill(engine, bill.id).subtotals}


def test_a_line_is_added_without_script_and_the_form_is_ready_for_the_next(operator, new_bill, engine):
    bill = new_bill()
    page = operator.submit(*addresses(bill), **typed())
    assert subtotals(engine, bill) == {"GEL": "3.6"}
    (row,) = page.id(element_id(bill, "items")).all("tr")
    assert "fresh" in row.attributes["class"]
    assert row.money() == ["3.6 GEL"]
    assert "operator@example.com" in row.text
    form = page.form(addresses(bill)[1])
    assert (form["description"], form["currency"]) == ("", "GEL")
    assert "autofocus" in page.id("add-description").attributes


def test_sending_twice_adds_once(operator, new_bill, engine):
    bill = new_bill()
    page, action = addresses(bill)
    form = operator.open(page).form(action) | typed()
    for _ in range(2):
        operator.send(action, form, status=303)
    assert reads.bill(engine, bill.id).item_count == 1


def test_the_key_of_a_line_with_other_values_is_refused_with_a_new_key(operator, new_bill, engine):
    bill = new_bill()
    page, action = addresses(bill)
    form = operator.open(page).form(action) | typed()
    operator.send(action, form, status=303)
    refused = operator.send(action, {**form, "quantity": "7"}, status=409)
    assert "stored before with other values" in refused.id("add-problem").text
    again = refused.form(action)
    assert again["idempotency_key"] != form["idempotency_key"]
    operator.send(action, again, status=303)
    assert subtotals(engine, bill) == {"GEL": "7.8"}


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"description": ""}, "description", "Description is required."),
        ({"description": "x" * 501}, "description", "Description cannot exceed 500 characters."),
        ({"quantity": "0"}, "quantity", "Quantity must be greater than zero."),
        ({"quantity": "1,840"}, "quantity", "Quantity must be a decimal number."),
        ({"quantity": " "}, "quantity", "Quantity is required."),
        ({"unit_price": ""}, "unit-price", "Unit price is required."),
        ({"unit_price": "-1"}, "unit-price", "Unit price cannot be negative."),
        ({"unit_price": "0.0000000000001"}, "unit-price", "Unit price cannot have more than 12 decimals."),
        ({"currency": "XXX"}, "currency", "Unsupported currency."),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_mistake_stands_beside_its_field(operator, new_bill, engine, wrong, field, sentence, htmx):
    bill = new_bill()
    page, action = addresses(bill)
    values = operator.open(page).form(action) | typed(**wrong)
    answer = operator.send(action, values, status=400, htmx=htmx)
    assert answer.id(f"add-{field}-error").text == sentence
    assert "autofocus" in answer.id(f"add-{field}").attributes or field == "currency"
    assert answer.id("add-description").attributes["value"] == values["description"]
    assert answer.id("add-quantity").attributes["value"] == values["quantity"]
    assert reads.bill(engine, bill.id).version == 1


def test_htmx_gets_the_empty_row_and_everything_that_changed_since(operator, new_bill, add):
    bill = new_bill()
    page, action = addresses(bill)
    opened = operator.open(page)
    seen = {e.attributes["name"]: e.attributes["value"] for e in opened.id(element_id(bill, "live")).all("input")}
    others = add(bill, description="from elsewhere")
    values = opened.form(action) | typed() | seen | {"oldest": "0", "shown_currency": "GEL"}
    answer = operator.send(action, values, status=200, htmx=True)
    assert answer.id("add-description").attributes["value"] == ""
    assert "autofocus" in answer.id("add-description").attributes
    (rows,) = answer.all("tbody", **{"hx-swap-oob": f"afterbegin:#{element_id(bill, 'items')}"})
    assert [row.text.split()[0] for row in rows.all("tr")] == ["Card", "from"]
    assert element_id(others) == rows.all("tr")[1].attributes["id"]
    assert answer.id(element_id(bill, "totals")).attributes["hx-swap-oob"] == "true"
    assert answer.has("event-2")
    assert answer.has("event-3")
    assert answer.id(element_id(bill, "live")).all("input", name="newest")[0].attributes["value"] == "2"


def test_a_bill_that_closed_meanwhile_refuses_and_keeps_what_was_typed(operator, new_bill, engine, origin):
    bill = new_bill()
    page, action = addresses(bill)
    form = operator.open(page).form(action) | typed()
    bills.request_close(engine, origin, bill.id)
    answer = operator.send(action, form, status=409, htmx=True)
    assert "closed and cannot be modified" in answer.all("tr")[0].text
    assert answer.id("add-description").attributes["value"] == "Card fee"
    closing.close_bill(engine, by_the_system("r"), bill.id, samples=True)
    operator.send(action, form, status=409)


def test_a_line_is_reversed_with_a_reason_and_both_stay(operator, new_bill, add, engine):
    bill = new_bill()
    item = add(bill, description="Wire fee", price="60", code="GEL")
    address = f"/bills/{bill.id}/line-items/{item.id}/reversal"
    page = operator.submit(address, address, reason="sent twice")
    first, second = page.id(element_id(bill, "items")).all("tr")
    assert first.money() == ["-60 GEL"]
    assert "reversal: sent twice" in first.text
    assert "reversed: sent twice" in second.text
    assert not page.with_class("act-reverse")
    assert subtotals(engine, bill) == {"GEL": "0"}


def test_a_reversal_needs_a_reason_and_happens_once(operator, new_bill, add):
    bill = new_bill()
    item = add(bill)
    address = f"/bills/{bill.id}/line-items/{item.id}/reversal"
    page = operator.submit(address, address, reason="  ", status=400)
    assert page.id("field-reason-error").text == "Reason is required."
    operator.submit(address, address, reason="wrong")
    page = operator.submit(address, address, reason="again", status=409)
    assert "already reversed" in page.with_class("problem")[0].text


def test_a_reversal_in_the_dialog_marks_the_line_on_the_open_page(operator, new_bill, add):
    bill = new_bill()
    item = add(bill)
    address = f"/bills/{bill.id}/line-items/{item.id}/reversal"
    dialog = operator.open(address, htmx=True)
    assert dialog.all("dialog")
    values = dialog.form(address) | {"reason": "wrong", "newest": "1", "oldest": "1", "version": "2"}
    answer = operator.send(address, values, status=200, htmx=True)
    marked = answer.id(element_id(item))
    assert marked.attributes["hx-swap-oob"] == "true"
    assert "reversed" in marked.attributes["class"]


def test_an_unknown_line_is_not_found(operator, new_bill, add):
    bill, other = new_bill(), new_bill()
    item = add(other)
    operator.open(f"/bills/{bill.id}/line-items/{item.id}/reversal", status=404)
