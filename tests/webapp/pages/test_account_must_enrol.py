"""A second factor that is required: who has none sets it up, and does nothing else before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask

from tests.support.authenticator import ACCOUNT, enrolled, stop_the_clock
from tests.support.visitor import PASSWORD, Visitor
from webapp.config import Config
from webapp.identity import user_changes
from webapp.identity.roles import Role
from webapp.identity.sessions import RequireTotp


@pytest.fixture(scope="module")
def app(make_app: Callable[[Config], Flask], config: Config) -> Flask:
    return make_app(replace(config, require_totp=RequireTotp.ADMINS))


@pytest.fixture
def somebody(app, engine) -> Visitor:
    email = f"{uuid4().hex[:8]}@example.com"
    user_changes.create(engine, email=email, password=PASSWORD, role=Role.ADMIN)
    return Visitor(app.test_client()).signed_in(email)


def test_who_has_none_can_do_nothing_but_set_it_up(somebody):
    for rule in ("/", "/bills", "/settings/account", "/settings/account/recovery-codes", "/settings/users"):
        somebody.answer = somebody.client.get(rule)
        assert (rule, somebody.went_to) == (rule, "/settings/account/second-factor/new")
    form = somebody.open(f"{ACCOUNT}/second-factor/new").form("/session/end")
    answer = somebody.client.post("/bills", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings/account/second-factor/new")
    htmx = somebody.client.get("/bills", headers={"HX-Request": "true"})
    assert htmx.headers["HX-Redirect"] == "/settings/account/second-factor/new"


def test_the_page_offers_nothing_else(somebody):
    page = somebody.open(f"{ACCOUNT}/second-factor/new")
    assert [e.attributes["action"] for e in page.all("form", method="post")] == [
        "/session/end",
        f"{ACCOUNT}/second-factor",
    ]
    assert not page.all("a", href="/bills")


def test_and_then_anything(somebody, monkeypatch):
    stop_the_clock(monkeypatch)
    enrolled(somebody)
    assert somebody.client.get("/bills").status_code == 200


def test_others_go_on_without(operator):
    assert operator.client.get("/bills").status_code == 200
