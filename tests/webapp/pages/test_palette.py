"""The command palette's answers, and the list of keys."""

import pytest

from billing.ledger import bills, closing
from webapp.pages.keys import SHORTCUTS


def find(visitor, words, *, status=200):
    return visitor.open(f"/palette?q={words}", htmx=True, status=status)


def options(page):
    return [a.attributes["href"] for a in page.all("a", role="option")]


def test_customers_are_found_by_a_part_of_name_or_id_and_their_bills_with_them(viewer, new_bill):
    bill = new_bill("halden-optics")
    for words in ("halden", "OPTICS", "den-op", "ha", "halden-optics"):
        found = options(find(viewer, words))
        assert f"/bills/{bill.id}" in found, words
        assert f"/customers/{bill.customer.id}" in found, words


def test_bills_are_found_by_number_as_it_is_typed_and_by_id(viewer, engine, origin, new_bill):
    closed = []
    for _ in range(12):
        bill = new_bill()
        bills.request_close(engine, origin, bill.id)
        closed.append(closing.close_bill(engine, origin, bill.id, samples=True))
    by_number = {bill.number: f"/bills/{bill.id}" for bill in closed}
    first = min(by_number)
    assert options(find(viewer, str(first)))[0] == by_number[first]
    assert options(find(viewer, f"%23{first}"))[0] == by_number[first]
    assert by_number[max(by_number)] in options(find(viewer, str(max(by_number))[:1]))
    assert options(find(viewer, str(closed[3].id))) == [f"/bills/{closed[3].id}"]
    assert options(find(viewer, f"bill-{closed[3].id}")) == [f"/bills/{closed[3].id}"]


def test_without_words_it_offers_what_can_be_done_and_the_newest_bills(operator, new_bill):
    bill = new_bill()
    found = options(find(operator, ""))
    assert found[0] == "/bills/new"
    assert {"/", "/bills", "/customers", "/rates", f"/bills/{bill.id}"} <= set(found)


def test_actions_are_found_by_the_beginnings_of_their_words(operator):
    assert options(find(operator, "new"))[:2] == ["/bills/new", "/customers/new"]
    assert options(find(operator, "add customer")) == ["/customers/new"]
    assert options(find(operator, "rat")) == ["/rates"]
    assert options(find(operator, "seller")) == ["/settings/seller"]


def test_a_viewer_is_offered_nothing_that_he_may_not_do(viewer, operator):
    assert "/bills/new" not in options(find(viewer, ""))
    assert "/customers/new" not in options(find(viewer, "new"))
    assert options(find(viewer, "users")) == []
    keys = [a.attributes["data-keys"] for a in viewer.open("/").id("keys").all("a")]
    assert "n" not in keys
    assert {"g o", "g b", "g c", "g r", "?"} <= set(keys)
    assert "n" in [a.attributes["data-keys"] for a in operator.open("/").id("keys").all("a")]


@pytest.mark.parametrize("words", ["nobody-of-this-name", "%25", "_", "\\", "'", "999999999999", "0" * 300, "%00x"])
def test_what_is_found_nowhere_is_said_and_nothing_breaks(viewer, words):
    page = find(viewer, words)
    assert options(page) == []
    assert "Nothing is called" in page.text


def test_it_finds_a_few_however_many_there_are(viewer, new_bill):
    for n in range(20):
        new_bill(f"many-{n}")
    page = find(viewer, "many")
    assert len([a for a in options(page) if a.startswith("/customers/")]) == 6
    assert len([a for a in options(page) if a.startswith("/bills/")]) == 6
    assert page.id("palette-list").attributes["data-said"] == "12 found"


def test_names_are_text_and_never_markup(viewer, new_bill):
    new_bill("<img src=x onerror=alert(1)>")
    page = find(viewer, "onerror")
    assert options(page)
    assert not page.all("img")


def test_options_have_ids_of_their_own(operator, new_bill):
    new_bill()
    ids = [a.attributes["id"] for a in find(operator, "").all("a", role="option")]
    assert len(ids) == len(set(ids)) > 5


def test_without_script_the_list_of_bills_looks_for_the_words(viewer):
    viewer.answer = viewer.client.get("/palette?q=halden")
    assert viewer.went_to == "/bills?q=halden"


def test_who_isnt_signed_in_finds_nothing(visitor):
    visitor.answer = visitor.client.get("/palette?q=a")
    assert visitor.went_to.startswith("/session/new")


def test_the_list_of_keys_is_a_page_and_a_dialog(viewer, operator):
    page = operator.open("/shortcuts")
    assert page.all("nav")
    for shortcut in SHORTCUTS:
        assert shortcut.label in page.text
    dialog = operator.open("/shortcuts", htmx=True)
    assert dialog.all("dialog")
    assert not dialog.all("nav")
    assert "New bill" not in viewer.open("/shortcuts", htmx=True).text
