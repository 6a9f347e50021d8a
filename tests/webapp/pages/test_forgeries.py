"""Requests that another site makes a signed-in browser send, and such that say they are others than they are."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from billing.errors import CustomerNotFound
from billing.ledger import reads
from tests.support.api import HUNG, Api, bill_body
from tests.support.visitor import Visitor
from webapp.identity import api_keys
from webapp.identity.roles import Role

OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


def is_registered(engine, customer_id: str) -> bool:
    try:
        reads.customer(engine, customer_id)
    except CustomerNotFound:
        return False
    return True


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"customer_id": "{id}", "idempotency_key": "k"}},
        {"data": json.dumps({"customer_id": "{id}"}), "content_type": "text/plain"},
        {"data": {"customer_id": "{id}", "idempotency_key": "k"}},
        {"data": {"customer_id": "{id}", "idempotency_key": "k"}, "content_type": "multipart/form-data"},
        {"data": {"customer_id": "{id}", "idempotency_key": "k", "csrf_token": "guessed"}},
        {"query_string": {"customer_id": "{id}", "idempotency_key": "k"}},
    ],
    ids=["JSON", "JSON as text", "a form", "a form in parts", "a form with a guessed token", "an address"],
)
def test_without_its_token_nothing_is_changed_in_whatever_form(operator, engine, sent):
    customer_id = f"forged-{uuid4().hex[:8]}"
    answer = operator.client.post("/customers", **json.loads(json.dumps(sent).replace("{id}", customer_id)))
    assert answer.status_code == 400
    assert not is_registered(engine, customer_id)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_nor_is_anybody_signed_out_who_didnt_ask_for_it(operator, kind):
    """What needs no field of a form needs its token all the same."""
    answer = operator.client.post("/session/end", data=b"{}", content_type=kind)
    assert answer.status_code == 400
    assert operator.client.get("/bills").status_code == 200


def test_a_token_of_another_browser_is_none(app, operator, accounts, engine):
    customer_id = f"forged-{uuid4().hex[:8]}"
    other = Visitor(app.test_client()).signed_in(accounts[Role.OPERATOR])
    form = other.open("/customers/new").form("/customers")
    operator.send("/customers", {**form, "customer_id": customer_id}, status=400)
    assert not is_registered(engine, customer_id)


def test_the_api_knows_no_session(operator):
    """A form or script of another site that a browser sends there comes without a key."""
    for answer in (
        operator.client.get("/api/v1/bills"),
        operator.client.post("/api/v1/bills", json=bill_body()),
        operator.client.post("/api/v1/bills", data=json.dumps(bill_body()), content_type="text/plain"),
    ):
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers


def test_nor_is_another_sites_script_let_read_anything(app, engine):
    key = api_keys.create(engine, name="cors", role=Role.VIEWER)
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        app.test_client().get("/api/v1/bills", headers={"Authorization": f"Bearer {key}", **asked}),
        app.test_client().options("/api/v1/bills", headers=asked),
    ):
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("header", OVERRIDES)
def test_no_header_makes_a_request_another(app, engine, operator, header):
    api = Api(app.test_client(), api_keys.create(engine, name="overriding", role=Role.OPERATOR))
    bill_id = api.opened()
    read = api.client.get(f"/api/v1/bills/{bill_id}/line-items", json=HUNG, headers={**api.credentials, header: "POST"})
    assert (read.status_code, read.json["data"]) == (200, [])
    assert api.bill(bill_id)["item_count"] == 0
    ended = operator.client.get("/session/end", headers={header: "POST"})
    assert ended.status_code == 405
    assert operator.client.get("/bills").status_code == 200


def test_nor_does_a_field_of_that_name(operator, engine):
    for name in ("_method", "method", "_HttpMethod"):
        assert operator.client.get(f"/session/end?{name}=POST").status_code == 405
    assert operator.client.get("/bills").status_code == 200
