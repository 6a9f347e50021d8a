from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.identifiers import new_id
from tests.support.api import HUNG, Api
from webapp.identity import api_keys
from webapp.identity.api_keys import ApiKeyNotFound
from webapp.identity.roles import Role


def latest(engine: Engine) -> api_keys.ApiKey:
    return api_keys.every(engine)[-1]


def test_a_token_is_kept_as_its_hash_alone(engine: Engine):
    token = api_keys.create(engine, name="hashed", role=Role.VIEWER)

    with engine.connect() as connection:
        row = connection.execute(text("SELECT api_keys::text FROM api_keys ORDER BY id DESC LIMIT 1")).scalar_one()
    assert token.startswith("pave_")
    assert len(token) >= len("pave_") + 32
    assert token not in row
    assert latest(engine).hint == token[:11]


def test_revoking_ends_it_at_once(engine: Engine, client: FlaskClient):
    api = Api(client, api_keys.create(engine, name="revoked", role=Role.VIEWER))
    assert api.get("/bills").status_code == 200

    api_keys.revoke(engine, latest(engine).id)

    assert api.get("/bills").status_code == 401
    assert latest(engine).revoked_at is not None


def test_revoking_again_keeps_the_first_instant(engine: Engine):
    api_keys.create(engine, name="revoked twice", role=Role.VIEWER)
    api_keys.revoke(engine, latest(engine).id)
    first = latest(engine).revoked_at

    api_keys.revoke(engine, latest(engine).id)

    assert latest(engine).revoked_at == first


def test_an_unknown_key_is_not_revoked(engine: Engine):
    with pytest.raises(ApiKeyNotFound):
        api_keys.revoke(engine, new_id())


def test_the_last_use_is_recorded_once_a_minute(engine: Engine, client: FlaskClient):
    api = Api(client, api_keys.create(engine, name="used", role=Role.VIEWER))
    assert latest(engine).last_used_at is None

    api.get("/bills")
    first = latest(engine).last_used_at
    api.get("/bills")

    assert first is not None
    assert latest(engine).last_used_at == first


@pytest.mark.usefixtures("nothing_to_remember_anew")
def test_adding_an_item_takes_one_statement(engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    """The key was looked up a moment ago, and the item's own call confirms it; rates and currencies once a second."""
    api = Api(client, api_keys.create(engine, name="counted", role=Role.OPERATOR))
    bill_id = api.opened()
    api.added(bill_id)
    statements = counted_statements(monkeypatch)
    api.added(bill_id)

    assert len(statements) == 1
    assert "add_line_items_together" in statements[0]


def counted_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: psycopg.Cursor, query: str, *given: object, **options: object) -> psycopg.Cursor:
        statements.append(str(query))
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    return statements


class TestAKeyRevokedAMomentAgo:
    """This process remembers it: it has just added an item with it."""

    @pytest.fixture
    def revoked(self, engine: Engine, client: FlaskClient) -> tuple[Api, str]:
        api = Api(client, api_keys.create(engine, name="revoked", role=Role.OPERATOR))
        bill_id = api.opened()
        api.added(bill_id)
        api_keys.revoke(engine, latest(engine).id)
        return api, bill_id

    def test_adds_nothing(self, revoked: tuple[Api, str], engine: Engine, client: FlaskClient):
        api, bill_id = revoked
        answer = api.post(f"/bills/{bill_id}/line-items", HUNG)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"]
        other = Api(client, api_keys.create(engine, name="other", role=Role.OPERATOR))
        assert other.bill(bill_id)["item_count"] == 1

    def test_repeats_nothing(self, engine: Engine, client: FlaskClient):
        api = Api(client, api_keys.create(engine, name="again", role=Role.OPERATOR))
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")
        api_keys.revoke(engine, latest(engine).id)
        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")

    def test_stores_no_request(self, revoked: tuple[Api, str]):
        api, bill_id = revoked
        assert api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async").status_code == 401

    @pytest.mark.parametrize("body", [b"{", {**HUNG, "quantity": 0}, {**HUNG, "unknown": 1}])
    def test_is_told_of_no_mistake_but_its_key(self, revoked: tuple[Api, str], body: object):
        api, bill_id = revoked
        answer = api.post(f"/bills/{bill_id}/line-items", body)
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")

    def test_is_told_of_no_bill(self, revoked: tuple[Api, str]):
        api, _ = revoked
        assert api.post("/bills/nothing/line-items", HUNG).status_code == 401
        assert api.post(f"/bills/{uuid4()}/line-items", HUNG).status_code == 401
