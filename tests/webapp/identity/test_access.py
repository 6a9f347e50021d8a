"""Who may not: every route of the application, asked by every kind of caller."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.routing import Rule

from tests.support.api import HUNG, Api
from webapp.identity import access, api_keys
from webapp.identity.access import PUBLIC, AccessUndeclared
from webapp.identity.roles import Role

# Their addresses may hold passwords.
ADMINISTRATORS_READ = "/api/v1/webhook-endpoints"
PUBLIC_ENDPOINTS = {"static", "health.healthz", "health.readyz"}


@pytest.fixture(scope="module")
def keys(engine: Engine) -> dict[Role, str]:
    return {role: api_keys.create(engine, name=f"a {role}", role=role) for role in Role}


def api_rules(app: Flask) -> list[tuple[Rule, str]]:
    methods = ("GET", "POST", "PATCH", "PUT", "DELETE")
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    return [(rule, method) for rule in rules for method in methods if method in (rule.methods or ())]


def path_of(rule: Rule) -> str:
    with_ids = rule.rule
    for name in rule.arguments:
        for converter in ("path:", ""):
            with_ids = with_ids.replace(f"<{converter}{name}>", str(uuid4()))
    return with_ids.removeprefix("/api/v1")


def test_without_a_declaration_the_application_does_not_start(app: Flask):
    forgetful = Flask("forgetful")
    forgetful.add_url_rule("/open-to-all", "open_to_all", lambda: "")
    access.public(forgetful.view_functions["static"])

    with pytest.raises(AccessUndeclared, match="open_to_all"):
        access.refuse_undeclared(forgetful)


def test_no_route_of_the_api_is_public(app: Flask):
    assert all(access.declared(app, rule.endpoint) in Role for rule, _ in api_rules(app))


def test_nobody_gets_in_without_a_key(app: Flask, client: FlaskClient):
    for rule, method in api_rules(app):
        for api in (Api(client), Api(client, "pave_" + "x" * 43), Api(client, "something else"), Api(client, "pavé_")):
            answer = api.call(method, path_of(rule), None, {})
            assert answer.status_code == 401, (method, rule)
            assert answer.json["code"] == "unauthenticated"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_is_declared_and_nothing_beyond(app: Flask, client: FlaskClient, keys, role: Role):
    for rule, method in api_rules(app):
        needed = access.declared(app, rule.endpoint)
        answer = Api(client, keys[role]).call(method, path_of(rule), None, {})
        if role.includes(needed):
            assert answer.status_code not in {401, 403}, (method, rule)
        else:
            assert answer.status_code == 403, (method, rule)
            assert answer.json["code"] == "permission_denied"


def test_a_viewer_reads_and_does_nothing_else(app: Flask):
    for rule, method in api_rules(app):
        reads = method == "GET" and not rule.rule.startswith(ADMINISTRATORS_READ)
        assert reads == (access.declared(app, rule.endpoint) is Role.VIEWER), (method, rule)


def test_a_refused_change_changes_nothing(client: FlaskClient, keys):
    bill_id = Api(client, keys[Role.OPERATOR]).opened()

    Api(client, keys[Role.VIEWER]).post(f"/bills/{bill_id}/line-items", HUNG)
    Api(client, keys[Role.VIEWER]).post(f"/bills/{bill_id}/close")

    bill = Api(client, keys[Role.VIEWER]).bill(bill_id)
    assert (bill["status"], bill["version"]) == ("open", 1)


def test_a_key_opens_no_page(app: Flask, client: FlaskClient, keys):
    for rule in app.url_map.iter_rules():
        needed = access.declared(app, rule.endpoint)
        if rule.endpoint.startswith("api.") or needed == PUBLIC or "GET" not in (rule.methods or ()):
            continue
        answer = client.get(path_of(rule), headers={"Authorization": f"Bearer {keys[Role.ADMIN]}"})
        assert answer.status_code in {302, 303, 401}, rule


def test_what_is_public_is_known(app: Flask):
    public = {rule.endpoint for rule in app.url_map.iter_rules() if access.declared(app, rule.endpoint) == PUBLIC}

    assert public >= PUBLIC_ENDPOINTS
    assert all(not endpoint.startswith("api.") for endpoint in public)
