"""What a key opens, as it is given and as it is stored."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from billing.errors import InvalidArgument
from tests.support.api import HUNG, Api, in_days
from webapp.identity import api_keys, scopes
from webapp.identity.roles import Role
from webapp.identity.scopes import MEANING, OF_ROLE, Scope


def key_with(engine: Engine, client: FlaskClient, *granted: Scope, name: str = "scoped") -> Api:
    return Api(client, api_keys.create(engine, name=name, scopes=granted))


def test_a_key_that_may_accrue_cant_close(engine: Engine, client: FlaskClient):
    opener = Api(client, api_keys.create(engine, name="opener", role=Role.OPERATOR))
    bill_id = opener.opened()
    meter = key_with(engine, client, Scope.ITEMS_WRITE)
    biller = key_with(engine, client, Scope.BILLS_WRITE, Scope.ITEMS_WRITE, name="biller")
    # An end that is brought forward by a month is a close.
    sooner = {"period_end": in_days(1)}
    assert biller.post(f"/bills/{bill_id}/period", sooner).json["details"]["reason"] == "scope_missing"

    assert meter.post(f"/bills/{bill_id}/line-items", HUNG).status_code == 200
    assert meter.post(f"/bills/{bill_id}/line-items/batch", {"line_items": [HUNG]}).status_code == 200
    for refused in (meter.post(f"/bills/{bill_id}/close"), meter.get(f"/bills/{bill_id}"), meter.get("/rates")):
        assert (refused.status_code, refused.json["code"]) == (403, "permission_denied")
        assert refused.json["details"]["reason"] == "scope_missing"
    assert opener.bill(bill_id)["status"] == "open"


def test_a_key_that_may_accrue_reads_the_outcome_of_what_its_account_asked_for_and_no_other(
    engine: Engine, client: FlaskClient
):
    reader = Api(client, api_keys.create(engine, name="reader", role=Role.OPERATOR))
    bill_id = reader.opened()
    meter = key_with(engine, client, Scope.ITEMS_WRITE, name="meter")
    asked = meter.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async")
    location = asked.headers["Location"].removeprefix("/api/v1")

    replaced = key_with(engine, client, Scope.ITEMS_WRITE, name="meter")
    for own in (meter, replaced, reader):
        assert own.get(location).json["data"]["id"] == asked.json["data"]["id"]
    other = key_with(engine, client, Scope.ITEMS_WRITE, name="another meter")
    hidden, unknown = other.get(location), other.get(f"{location[:-36]}{bill_id}")
    assert [answer.status_code for answer in (hidden, unknown)] == [404, 404]
    assert hidden.json["message"] == unknown.json["message"]
    closer = key_with(engine, client, Scope.BILLS_CLOSE, name="meter")
    assert closer.get(location).json["details"]["reason"] == "scope_missing"


def test_the_refusal_names_the_scope_that_is_missing(engine: Engine, client: FlaskClient):
    answer = key_with(engine, client, Scope.RATES_READ).get("/bills")
    assert answer.json["message"] == "this API key lacks the scope bills:read"


def test_roles_include_what_the_lower_ones_have_and_an_admins_is_all():
    viewer, operator, admin = (OF_ROLE[role] for role in Role)
    assert viewer < operator < admin == frozenset(Scope)
    assert all(scope.endswith(":read") for scope in viewer)
    assert set(MEANING) == set(Scope)


@pytest.mark.parametrize("given", [[], ["bills"], ["bills:read", "king"], ["BILLS:READ"]])
def test_none_and_unknown_ones_are_refused(given: list[str]):
    with pytest.raises(InvalidArgument):
        scopes.parse(given)


def test_a_key_of_the_version_before_opens_what_its_role_did(engine: Engine, client: FlaskClient):
    """While both run, that version makes keys that have a role alone."""
    api = Api(client, api_keys.create(engine, name="made before", role=Role.VIEWER))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE api_keys SET scopes = NULL WHERE id = :id"), {"id": api_keys.every(engine)[-1].id}
        )
    assert api.get("/bills").status_code == 200
    assert api.post("/bills", {}).status_code == 403
    assert api_keys.every(engine)[-1].scopes == OF_ROLE[Role.VIEWER]


def test_that_version_knows_no_key_that_no_role_describes(engine: Engine):
    roles = []
    for granted, customers in (
        (OF_ROLE[Role.OPERATOR], ()),
        ({Scope.ITEMS_WRITE}, ()),
        (OF_ROLE[Role.ADMIN], ("acme",)),
    ):
        if customers:
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO customers (id, external_id) VALUES (uuidv7(), 'acme')"))
        api_keys.create(engine, name="for both", scopes=granted, customers=customers)
        with engine.connect() as connection:
            newest = connection.execute(text("SELECT role FROM api_keys ORDER BY id DESC LIMIT 1"))
            roles.append(newest.scalar_one())
    assert roles == ["operator", None, None]


@pytest.mark.parametrize(
    "nonsense", ["scopes = '{}'", "customer_ids = '{}'", "scopes = NULL, role = NULL", "scopes = NULL, role = 'king'"]
)
def test_the_database_keeps_no_key_that_could_be_read_in_two_ways(engine: Engine, nonsense: str):
    api_keys.create(engine, name="in two ways", role=Role.VIEWER)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(f"UPDATE api_keys SET {nonsense}"))
