"""API keys, as administrators make and end them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from billing.ledger import events
from tests.support.api import Api
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope


@pytest.fixture
def made(admin, engine):
    """A new key: its page, as it is the first time, and the key."""
    name = f"erp-{uuid4().hex[:6]}"
    page = admin.submit("/settings/api-keys/new", "/settings/api-keys", name=name, scopes="bills:read")
    return page, next(key for key in api_keys.every(engine) if key.name == name)


def test_a_new_one_works_and_is_shown_once(made, admin, app):
    page, key = made
    token = page.id("shown-key").text

    assert Api(app.test_client(), token).get("/bills").status_code == 200
    assert Api(app.test_client(), token).post("/bills", {}).status_code == 403
    again = admin.open(f"/settings/api-keys/{key.id}")
    assert not again.has("shown-key")
    assert admin.answer.headers["Cache-Control"] == "no-store"
    assert token not in admin.open("/settings/api-keys").text


def test_another_browser_never_sees_it(admin, app, accounts, engine):
    from tests.support.visitor import Visitor

    form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
    admin.send("/settings/api-keys", {**form, "name": "hidden", "scopes": "bills:read"}, status=303)
    other = Visitor(app.test_client()).signed_in(accounts[Role.ADMIN])
    assert not other.open(admin.went_to).has("shown-key")


def test_sent_twice_it_is_one_key(admin, engine):
    form = {**admin.open("/settings/api-keys/new").form("/settings/api-keys"), "name": f"twice-{uuid4().hex[:6]}"}
    admin.send("/settings/api-keys", form, status=303)
    admin.open(admin.went_to).id("shown-key")
    admin.send("/settings/api-keys", form, status=303)

    assert not admin.open(admin.went_to).has("shown-key")
    assert [key.name for key in api_keys.every(engine)].count(form["name"]) == 1


def test_revoking_ends_it_at_once(made, admin, app, engine):
    page, key = made
    admin.submit(f"/settings/api-keys/{key.id}", f"/settings/api-keys/{key.id}/revocation")

    assert Api(app.test_client(), page.id("shown-key").text).get("/bills").status_code == 401
    after = admin.open(f"/settings/api-keys/{key.id}")
    assert not after.all("form", action=f"/settings/api-keys/{key.id}/revocation")
    logged = events.of_subject(engine, key.id, after_version=0, limit=9)
    assert [(event.type, event.actor.name) for event in logged] == [
        ("api_key.created", "admin@example.com"),
        ("api_key.revoked", "admin@example.com"),
    ]
    assert all(page.id("shown-key").text not in str(event.data) for event in logged)


def test_the_list_tells_them_apart(made, admin):
    _, key = made
    row = admin.open("/settings/api-keys").id(f"api-key-{key.id}").text
    assert row.startswith(f"{key.name} bills:read {key.hint}…")
    assert row.endswith("Never")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"name": " "}, "Name is required."),
        ({"name": "x" * 256}, "Name cannot exceed 255 characters."),
        ({"name": "erp", "scopes": "king"}, "Scope must be one of those offered."),
        ({"name": "erp", "customers": "nobody"}, "No customer has the id nobody."),
        ({"name": "erp", "customers": "x" * 256}, "Customers cannot exceed 255 characters."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin, typed, sentence):
    page = admin.submit("/settings/api-keys/new", "/settings/api-keys", **typed)
    assert [error.text for error in page.with_class("error")] == [sentence]


def test_one_is_made_for_what_was_ticked_and_the_customers_named(admin, app, engine, new_bill):
    """What most need is ticked at first."""
    page = admin.open("/settings/api-keys/new")
    boxes = page.all("input", type="checkbox")
    assert len(boxes) == len(Scope)
    assert {box.attributes["value"] for box in boxes if "checked" in box.attributes} == {"bills:read", "items:write"}
    mine, other = new_bill("acme"), new_bill("beta")
    form = {**page.form("/settings/api-keys"), "name": "meter", "customers": " acme \r\n\r\n"}
    admin.send("/settings/api-keys", {**form, "scopes": ["items:write", "bills:read"]}, status=303)

    shown = admin.open(admin.went_to)
    assert "Opens bills:read, items:write Customers acme" in shown.text
    assert "Created for bills:read, items:write, for 1 customer alone" in shown.text
    api = Api(app.test_client(), shown.id("shown-key").text)
    answers = [api.get(f"/bills/{mine.id}"), api.get(f"/bills/{other.id}"), api.get("/customers")]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    newest = api_keys.every(engine)[-1]
    assert "for 1 customer" in admin.open("/settings/api-keys").id(f"api-key-{newest.id}").text


def test_what_was_ticked_stays_when_something_else_is_wrong(admin):
    form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
    page = admin.send("/settings/api-keys", {**form, "name": "", "scopes": ["rates:read"]}, status=400)
    ticked = [box.attributes["value"] for box in page.all("input", type="checkbox") if "checked" in box.attributes]
    assert ticked == ["rates:read"]


def test_one_that_opens_nothing_isnt_made(admin, engine):
    form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
    del form["scopes"]
    before = len(api_keys.every(engine))
    page = admin.send("/settings/api-keys", {**form, "name": "nothing"}, status=400)
    assert [e.text for e in page.with_class("problem")] == ["A key needs at least one scope."]
    assert len(api_keys.every(engine)) == before


def test_one_that_isnt_there_is_not_found(admin):
    assert admin.open(f"/settings/api-keys/{UUID(int=7)}", status=404)


def test_one_made_in_another_tab_waits_for_its_own_page(admin):
    shown = []
    for _ in range(2):
        form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
        name = f"erp-{uuid4().hex[:6]}"
        admin.send("/settings/api-keys", {**form, "name": name, "scopes": "bills:read"}, status=303)
        shown.append(admin.went_to)

    tokens = [admin.open(address).id("shown-key").text for address in shown]
    assert len(set(tokens)) == 2
    assert not any(admin.open(address).has("shown-key") for address in shown)
