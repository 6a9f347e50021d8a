"""A session that ends while somebody works: nothing typed is lost, with script or without."""

import json
import threading
from html import unescape
from io import BytesIO
from uuid import uuid4

import pytest
from sqlalchemy import text

from billing.ledger import seller
from tests.support.page import parse
from tests.support.pictures import png
from tests.support.visitor import HTMX, PASSWORD
from webapp.app import LARGEST_FORM
from webapp.identity import sessions
from webapp.identity.roles import Role
from webapp.live import speaker
from webapp.pages.kept_forms import LONGEST


def ended(engine):
    """All sessions, as if a night had passed."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET last_seen_at = now() - interval '13 hours'"))


def somebody_was_seen(engine):
    with engine.connect() as connection:
        recently = "SELECT bool_or(last_seen_at > now() - interval '30 minutes') FROM sessions"
        return connection.execute(text(recently)).scalar_one()


def test_an_open_page_gets_a_dialog_and_stays(operator, engine):
    ended(engine)
    answer = operator.client.get("/bills", headers=HTMX)

    assert answer.status_code == 401
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#sign-in-slot", "innerHTML")
    dialog = parse(answer.text)
    assert dialog.all("dialog")
    assert dialog.id("sign-in-email").attributes["value"] == "operator@example.com"


def test_signing_in_there_renews_the_tokens_of_the_page(operator, engine, accounts, new_bill):
    bill = new_bill()
    form = operator.open(f"/bills/{bill.id}").form(f"/bills/{bill.id}/line-items")
    ended(engine)
    typed = {**form, "description": "Fee", "quantity": "1", "unit_price": "2", "currency": "USD"}
    dialog = operator.send(f"/bills/{bill.id}/line-items", typed, htmx=True, status=401)

    values = {**dialog.form("/session"), "email": accounts[Role.OPERATOR], "password": PASSWORD}
    operator.send("/session", {**values, "page_user": accounts[Role.OPERATOR]}, htmx=True, status=200)
    token = json.loads(operator.answer.headers["HX-Trigger"])["signed-in"]["token"]
    assert "send it now" in operator.answer.text
    row = operator.send(f"/bills/{bill.id}/line-items", {**typed, "csrf_token": token}, htmx=True, status=200)

    assert "Fee" in row.text


def test_whose_page_it_is_is_said_to_somebody_else(operator, engine, accounts):
    ended(engine)
    dialog = parse(operator.client.get("/bills", headers=HTMX).text)
    values = {**dialog.form("/session"), "email": accounts[Role.VIEWER], "password": PASSWORD}
    page = operator.send("/session", {**values, "page_user": accounts[Role.OPERATOR]}, htmx=True, status=200)

    assert "opened by operator@example.com" in page.text
    assert "signed in as viewer@example.com" in page.text


def test_a_page_of_an_earlier_session_is_brought_up_to_date(operator, accounts):
    form = operator.open("/customers/new").form("/customers")
    operator.signed_in(accounts[Role.VIEWER])
    operator.signed_in(accounts[Role.OPERATOR])
    refused = operator.send("/customers", {**form, "customer_id": "late"}, htmx=True, status=400)
    assert "Nothing was sent" in refused.text
    assert operator.answer.headers["HX-Retarget"] == "#notices"

    token = json.loads(operator.answer.headers["HX-Trigger"])["signed-in"]["token"]
    operator.send("/customers", {**form, "customer_id": f"late-{uuid4().hex}", "csrf_token": token}, htmx=True)
    assert operator.answer.status_code == 200


def test_without_script_what_was_sent_comes_along(operator, engine, accounts):
    name = f"kept-{uuid4().hex}"
    form = operator.open("/customers/new").form("/customers")
    ended(engine)
    typed = {**form, "customer_id": name, "name": 'Kept & "safe"', "billing_address": "1 Lane\n0102 Tbilisi"}
    page = operator.send("/customers", typed, status=401)
    assert "kept here until then" in page.text

    values = {**page.form("/session"), "password": PASSWORD}
    assert values["email"] == accounts[Role.OPERATOR]
    page = operator.send("/session", values, status=200)
    assert 'Kept & "safe"' in page.with_class("kept")[0].text
    again = page.form("/customers")
    assert again["csrf_token"] != form["csrf_token"]
    operator.send("/customers", again, status=303)
    assert operator.open(operator.went_to).text.count("Kept")


def test_no_password_is_kept(operator, engine):
    form = operator.open("/settings/account").form("/settings/account/password")
    ended(engine)
    typed = {**form, "old_password": "an old secret", "new_password": "a new secret thing"}
    page = operator.send("/settings/account/password", typed, status=401)

    assert "secret" not in unescape(operator.answer.text)
    assert page.form("/session")["kept"]


def test_nor_more_than_a_page_should_carry(operator, engine):
    form = operator.open("/customers/new").form("/customers")
    ended(engine)
    operator.send("/customers", {**form, "billing_address": "x" * LONGEST}, status=303)
    assert operator.went_to.startswith("/session/new")


@pytest.mark.parametrize("headers", [None, HTMX])
def test_nor_what_is_too_large_to_be_read(operator, engine, headers):
    form = operator.open("/customers/new").form("/customers")
    ended(engine)
    answer = operator.client.post("/customers", data={**form, "name": "x" * LARGEST_FORM}, headers=headers)
    assert answer.status_code == (401 if headers else 303)


@pytest.mark.parametrize(("file", "said"), [("", False), ("acme.png", True)])
def test_a_form_with_a_file_is_kept_and_the_file_chosen_again(admin, engine, file, said):
    address = "/settings/seller"
    form = admin.open(address).form(address)
    ended(engine)
    typed = {**form, "name": "Kept Ltd", "logo": (BytesIO(png() if file else b""), file)}
    page = admin.send(address, typed, status=401)
    page = admin.send("/session", {**page.form("/session"), "password": PASSWORD}, status=200)
    assert "Kept Ltd" in page.with_class("kept")[0].text
    assert ("choose acme.png again" in page.text) is said

    again = {**page.form(address), **({"logo": (BytesIO(png()), file)} if file else {})}
    admin.send(address, again, status=303)
    stored = seller.read(engine)
    assert (stored.name, stored.logo is not None) == ("Kept Ltd", said)


@pytest.mark.parametrize(
    ("part", "counts"), [("/changes", False), ("/stream", False), ("/workflow", False), ("", True)]
)
def test_a_page_that_is_left_open_keeps_no_session_from_ending(operator, engine, new_bill, part, counts):
    bill = new_bill()
    with engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET last_seen_at = now() - interval '1 hour'"))

    answer = operator.client.get(f"/bills/{bill.id}{part}")
    assert answer.status_code == 200
    answer.close()

    assert somebody_was_seen(engine) is counts


def test_nor_does_its_stream_that_asks_again_and_again(operator, engine, new_bill, monkeypatch):
    monkeypatch.setattr(speaker, "ADMIT_EVERY_S", 0)
    asked = threading.Event()
    roles = sessions.roles

    def counted(*args):
        asked.set()
        return roles(*args)

    with engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET last_seen_at = now() - interval '1 hour'"))
    monkeypatch.setattr(sessions, "roles", counted)
    answer = operator.client.get(f"/bills/{new_bill().id}/stream")
    assert asked.wait(60)
    answer.close()

    assert not somebody_was_seen(engine)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_nor_the_form_of_another_site(operator, engine, headers):
    form = operator.open("/customers/new").form("/customers")
    ended(engine)
    answer = operator.client.post("/customers", data={**form, "customer_id": "planted"}, headers=headers)
    assert answer.status_code == 303
    answer = operator.client.post("/customers", data={"customer_id": "planted"})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "kept", ["", "x", "[]", '["//evil.example", [], null, null, []]', '["/a", [1], null, null, []]']
)
def test_what_no_page_of_ours_carries_is_not_sent_on(visitor, accounts, kept):
    form = visitor.open("/session/new").form("/session")
    values = {**form, "email": accounts[Role.VIEWER], "password": PASSWORD, "kept": kept}
    visitor.send("/session", values, status=303)
    assert visitor.went_to == "/"


def test_a_page_that_waited_goes_on_when_its_user_signed_in_elsewhere(operator, accounts):
    answer = operator.client.get(f"/session?page_user={accounts[Role.OPERATOR]}", headers=HTMX)
    assert "token" in answer.headers["HX-Trigger"]
    assert "signed in again" in answer.text
