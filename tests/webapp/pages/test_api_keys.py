"""API keys, as administrators make and end them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from billing.ledger import events
from tests.support.api import Api
from webapp.identity import api_keys
from webapp.identity.roles import Role


@pytest.fixture
def made(admin, engine):
    """A new key: its page, as it is the first time, and the key."""
    name = f"erp-{uuid4().hex[:6]}"
    page = admin.submit("/settings/api-keys/new", "/settings/api-keys", name=name, role="viewer")
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
    admin.send("/settings/api-keys", {**form, "name": "hidden"}, status=303)
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
    assert row.startswith(f"{key.name} Viewer {key.hint}…")
    assert row.endswith("Never")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"name": " "}, "Name is required."),
        ({"name": "x" * 256}, "Name cannot exceed 255 characters."),
        ({"name": "erp", "role": "king"}, "Role must be one of those offered."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin, typed, sentence):
    page = admin.submit("/settings/api-keys/new", "/settings/api-keys", **typed)
    assert [error.text for error in page.with_class("error")] == [sentence]


def test_one_that_isnt_there_is_not_found(admin):
    assert admin.open(f"/settings/api-keys/{UUID(int=7)}", status=404)


def test_one_made_in_another_tab_waits_for_its_own_page(admin):
    shown = []
    for _ in range(2):
        form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
        name = f"erp-{uuid4().hex[:6]}"
        admin.send("/settings/api-keys", {**form, "name": name, "role": "viewer"}, status=303)
        shown.append(admin.went_to)

    tokens = [admin.open(address).id("shown-key").text for address in shown]
    assert len(set(tokens)) == 2
    assert not any(admin.open(address).has("shown-key") for address in shown)
