"""Users, as administrators see and change them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from billing.errors import FailedPrecondition
from billing.ledger import events
from tests.support.visitor import PASSWORD, Visitor
from webapp.identity import user_changes, users
from webapp.identity.roles import Role


@pytest.fixture
def somebody(engine):
    email = f"{uuid4().hex[:8]}@example.com"
    user_changes.create(engine, email=email, password=PASSWORD, role=Role.OPERATOR)
    return users.by_email(engine, email)


def address(user, part=""):
    return f"/settings/users/{user.id}{part}"


def happened(engine, user):
    return [event.type for event in events.of_subject(engine, user.id, after_version=0, limit=50)]


def test_all_are_listed_with_what_they_may_do(admin, somebody, accounts):
    page = admin.open("/settings/users")
    assert f"{somebody.email} Operator Active Password \N{EN DASH}" in page.text
    assert f"{accounts[Role.ADMIN]} Admin Active Password" in page.text


def test_a_new_one_gets_a_password_that_is_shown_once(admin, app, engine):
    email = f"{uuid4().hex[:8]}@example.com"
    page = admin.submit("/settings/users/new", "/settings/users", email=email.upper(), role="viewer")
    password = page.id("shown-password").text

    user = users.verified(engine, email, password)
    assert user.role is Role.VIEWER
    assert not admin.open(address(user)).has("shown-password")
    assert happened(engine, user) == ["user.created"]


def test_or_the_one_that_was_typed_which_is_not_shown(admin, engine):
    email = f"{uuid4().hex[:8]}@example.com"
    page = admin.submit("/settings/users/new", "/settings/users", email=email, role="admin", password=PASSWORD)

    assert PASSWORD not in page.text
    assert users.verified(engine, email, PASSWORD).role is Role.ADMIN


def test_sent_twice_it_is_one_user(admin, engine):
    form = {**admin.open("/settings/users/new").form("/settings/users"), "email": f"{uuid4().hex[:8]}@example.com"}
    admin.send("/settings/users", form, status=303)
    first = admin.went_to
    shown = admin.open(first).id("shown-password").text
    admin.send("/settings/users", form, status=303)

    assert admin.went_to == first
    assert not admin.open(first).has("shown-password")
    assert users.verified(engine, form["email"], shown)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"email": ""}, "E-mail is required."),
        ({"email": "nobody"}, "E-mail must be an e-mail address."),
        ({"email": "ADMIN@example.com"}, "A user with this e-mail address exists."),
        ({"email": "new@example.com", "password": "short"}, "Password must have at least 12"),
        ({"email": "new@example.com", "role": "king"}, "Role must be one of those offered."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin, typed, sentence):
    page = admin.submit("/settings/users/new", "/settings/users", **typed)
    assert sentence in page.with_class("error")[0].text
    assert page.id("field-email").attributes["value"] == typed["email"]


def test_a_role_is_changed_from_the_next_request_on(admin, app, engine, somebody):
    them = Visitor(app.test_client()).signed_in(somebody.email)
    page = admin.submit(address(somebody), address(somebody, "/role"), role="viewer")

    assert them.client.get("/bills/new").status_code == 403
    assert "Role changed from operator to viewer" in page.text
    assert happened(engine, somebody) == ["user.created", "user.role_changed"]


def test_a_disabled_one_comes_back_enabled(admin, app, engine, somebody):
    admin.submit(address(somebody), address(somebody, "/disablement"))
    assert users.verified(engine, somebody.email, PASSWORD) is None
    page = admin.submit(address(somebody), address(somebody, "/disablement/end"))

    assert "Enabled again" in page.text
    Visitor(app.test_client()).signed_in(somebody.email)
    assert happened(engine, somebody) == ["user.created", "user.disabled", "user.enabled"]


def test_a_reset_password_is_shown_once_and_ends_their_sessions(admin, app, engine, somebody):
    them = Visitor(app.test_client()).signed_in(somebody.email)
    page = admin.submit(address(somebody), address(somebody, "/password"))

    assert users.verified(engine, somebody.email, page.id("shown-password").text)
    assert users.verified(engine, somebody.email, PASSWORD) is None
    assert them.client.get("/bills").status_code == 303
    assert not admin.open(address(somebody)).has("shown-password")


def test_no_event_holds_a_secret(admin, engine, somebody):
    page = admin.submit(address(somebody), address(somebody, "/password"))
    with engine.connect() as connection:
        logged = connection.execute(
            text("SELECT string_agg(events::text, ' ') FROM events WHERE subject_id = :id"), {"id": somebody.id}
        ).scalar_one()
    assert page.id("shown-password").text not in logged
    assert "argon2" not in logged
    assert "admin@example.com" in logged


def test_the_last_administrator_stays_one(engine, database_url, app, admin, accounts):
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE users SET disabled_at = now() WHERE role = 'admin' AND email <> :email"),
            {"email": accounts[Role.ADMIN]},
        )
    last = users.by_email(engine, accounts[Role.ADMIN])
    page = admin.submit(address(last), address(last, "/role"), role="viewer")
    assert "This is the last administrator" in page.with_class("problem")[0].text
    assert admin.answer.status_code == 409
    page = admin.submit(address(last), address(last, "/disablement"))
    assert "This is the last administrator" in page.with_class("problem")[0].text

    user_changes.create(engine, email=f"{uuid4().hex}@example.com", password=PASSWORD, role=Role.ADMIN)
    with pytest.raises(FailedPrecondition):
        user_changes.reset_password(engine, origin_of(last), last.id, "another long password")


def origin_of(user):
    from billing.origin import Actor, ActorKind, Origin

    return Origin(Actor(ActorKind.USER, str(user.id), user.email), user.id, "request")


def test_ones_own_password_and_factor_are_not_reset_there(admin, engine, accounts):
    page = admin.open(address(users.by_email(engine, accounts[Role.ADMIN])))
    assert not page.all("form", action=address(users.by_email(engine, accounts[Role.ADMIN]), "/password"))


def test_who_isnt_there_is_not_found(admin):
    assert admin.open(f"/settings/users/{UUID(int=7)}", status=404)
    assert admin.open("/settings/users/x", status=404)


@pytest.mark.parametrize(
    "path", ["/settings/users", "/settings/users/new", "/settings/api-keys", "/settings/api-keys/new"]
)
def test_for_others_there_is_no_such_tab_or_page(operator, viewer, path):
    for visitor in (operator, viewer):
        assert visitor.client.get(path).status_code == 403
        tabs = visitor.open("/settings/account").all("nav")[-1].text
        assert "Users" not in tabs
        assert "Your account" in tabs
