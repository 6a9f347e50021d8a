"""Refusals as callers of the API see them. Every route and every kind of caller: test_access_table.py."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.support.api import HUNG, Api
from webapp.identity import access, api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope


@pytest.fixture(scope="module")
def keys(engine: Engine) -> dict[Role, str]:
    return {role: api_keys.create(engine, name=f"a {role}", role=role) for role in Role}


def test_nobody_gets_in_without_a_key_and_is_told_how(client: FlaskClient):
    for api in (Api(client), Api(client, "pave_" + "x" * 43), Api(client, "something else"), Api(client, "pavé_")):
        answer = api.get("/bills")
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_viewers_key_reads_and_does_nothing_else(app: Flask):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            needed = access.declared(app, rule.endpoint)
            # Administrators alone read webhook endpoints: their addresses may hold passwords. Imports are read by
            # whose they are.
            is_read = "GET" in (rule.methods or ()) and needed != Scope.WEBHOOKS and "imports" not in rule.rule
            assert is_read == str(needed).endswith(":read"), rule


def test_every_scope_opens_something(app: Flask):
    opened = {access.declared(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    assert set(Scope) <= opened


def test_a_refused_change_changes_nothing(client: FlaskClient, keys):
    bill_id = Api(client, keys[Role.OPERATOR]).opened()

    Api(client, keys[Role.VIEWER]).post(f"/bills/{bill_id}/line-items", HUNG)
    Api(client, keys[Role.VIEWER]).post(f"/bills/{bill_id}/close")

    bill = Api(client, keys[Role.VIEWER]).bill(bill_id)
    assert (bill["status"], bill["version"]) == ("open", 1)
