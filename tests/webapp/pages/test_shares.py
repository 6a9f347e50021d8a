"""Sharing a bill with its customer: links that staff create, copy again and revoke."""

from __future__ import annotations

from urllib.parse import urlsplit

from billing.ledger import events, links
from webapp.pages.element_ids import element_id

PLACE = "00000000-0000-7000-8000-000000000000"


def shares(bill) -> str:
    return f"/bills/{bill.id}/shares"


def revocation(link) -> str:
    return f"/bills/{link.bill_id}/shares/{link.id}/revocation"


def addresses(page) -> list[str]:
    return [e.attributes["value"] for e in page.all("input") if "/b/" in e.attributes.get("value", "")]


def created(operator, bill, *, htmx=False):
    form = operator.open(shares(bill)).form(shares(bill))
    return operator.send(shares(bill), form, htmx=htmx)


def test_a_link_is_created_and_opens_the_bill_for_anybody(operator, visitor, new_bill, add):
    bill = new_bill()
    add(bill, "Card processing")
    page = operator.submit(shares(bill), shares(bill))
    (address,) = addresses(page)
    assert address.startswith("http://localhost:8000/b/")
    visitor.client.delete_cookie("session")
    shown = visitor.open(urlsplit(address).path)
    assert "Card processing" in shown.text


def test_the_same_link_is_shown_again(operator, new_bill):
    bill = new_bill()
    first = addresses(operator.submit(shares(bill), shares(bill)))
    assert addresses(operator.open(shares(bill))) == first


def test_a_form_sent_twice_makes_one_link(operator, new_bill):
    bill = new_bill()
    form = operator.open(shares(bill)).form(shares(bill))
    operator.send(shares(bill), form, status=303)
    operator.send(shares(bill), form, status=303)
    assert len(addresses(operator.open(shares(bill)))) == 1


def test_the_dialogs_answer_brings_what_happened_to_the_page_it_lies_on(operator, new_bill, engine):
    bill = new_bill()
    place = {"hx-swap-oob": f"afterbegin:#{element_id(bill, 'events')}"}
    dialog = created(operator, bill, htmx=True)
    assert [e.all("b")[0].text for e in dialog.all("ol", **place)[0].all("li")] == ["Shared"]
    assert not operator.open(shares(bill), htmx=True).all("ol", **place)
    (listed,) = links.of_bill(engine, bill.id)
    dialog = operator.send(revocation(listed.link), dialog.form(revocation(listed.link)), htmx=True)
    assert [e.all("b")[0].text for e in dialog.all("ol", **place)[0].all("li")] == ["Link revoked"]


def test_a_revoked_link_leads_nowhere_and_stays_listed(operator, new_bill, engine):
    bill = new_bill()
    (address,) = addresses(operator.submit(shares(bill), shares(bill)))
    (listed,) = links.of_bill(engine, bill.id)
    page = operator.submit(shares(bill), revocation(listed.link))
    assert addresses(page) == []
    assert "No link is in use" in page.text
    assert "revoked" in page.id(element_id(listed.link)).text
    assert operator.client.get(urlsplit(address).path).status_code == 404


def test_in_a_dialog_everything_happens_in_place(operator, new_bill, engine):
    bill = new_bill()
    page = operator.open(shares(bill), htmx=True)
    assert page.all("dialog")
    form = page.form(shares(bill))
    page = operator.send(shares(bill), form, status=200, htmx=True)
    (listed,) = links.of_bill(engine, bill.id)
    assert "autofocus" in page.id(element_id(listed.link, "address")).attributes
    page = operator.send(revocation(listed.link), page.form(revocation(listed.link)), status=200, htmx=True)
    assert addresses(page) == []


def test_who_did_it_is_in_the_log(operator, new_bill, engine, accounts):
    bill = new_bill()
    operator.submit(shares(bill), shares(bill))
    (listed,) = links.of_bill(engine, bill.id)
    operator.submit(shares(bill), revocation(listed.link))
    found = events.of_subject(engine, listed.link.id, after_version=0, limit=10)
    assert [(event.type, event.actor.name) for event in found] == [
        ("link.created", "operator@example.com"),
        ("link.revoked", "operator@example.com"),
    ]


def test_a_viewer_sees_that_there_are_links_but_not_where_they_lead(operator, viewer, new_bill, engine):
    bill = new_bill()
    (address,) = addresses(operator.submit(shares(bill), shares(bill)))
    (listed,) = links.of_bill(engine, bill.id)
    page = viewer.open(shares(bill))
    assert "by operator@example.com" in page.id(element_id(listed.link)).text
    assert urlsplit(address).path not in viewer.answer.text
    assert "/b/" not in viewer.answer.text
    assert not [e for e in page.all("button") if "link" in e.text.lower()]


def test_a_viewer_neither_creates_nor_revokes(operator, viewer, new_bill, engine):
    bill = new_bill()
    operator.submit(shares(bill), shares(bill))
    (listed,) = links.of_bill(engine, bill.id)
    assert viewer.client.post(shares(bill)).status_code == 403
    assert viewer.client.post(revocation(listed.link)).status_code == 403
    assert links.live(engine, listed.link.id)


def test_a_link_of_another_bill_is_not_found(operator, new_bill, engine):
    bill, other = new_bill(), new_bill()
    operator.submit(shares(bill), shares(bill))
    (listed,) = links.of_bill(engine, bill.id)
    form = operator.open(shares(bill)).form(revocation(listed.link))
    operator.send(f"/bills/{other.id}/shares/{listed.link.id}/revocation", form, status=404)
    operator.send(f"/bills/{bill.id}/shares/{PLACE}/revocation", form, status=404)
    operator.send(f"/bills/{bill.id}/shares/x/revocation", form, status=404)
    assert links.live(engine, listed.link.id)
    operator.open(f"/bills/{PLACE}/shares", status=404)


def test_too_many_links_are_refused_in_the_form(operator, new_bill, monkeypatch):
    monkeypatch.setattr(links, "MOST_LINKS", 1)
    bill = new_bill()
    created(operator, bill)
    page = created(operator, bill)
    assert operator.answer.status_code == 409
    assert "revoke one that is no longer needed" in page.text
