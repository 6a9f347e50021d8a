from __future__ import annotations

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.identifiers import new_id
from tests.support.api import Api
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
def test_adding_an_item_takes_two_statements(engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    """The key and the item: one round trip each; once a second the rates and the currencies beside them."""
    api = Api(client, api_keys.create(engine, name="counted", role=Role.OPERATOR))
    bill_id = api.opened()
    api.added(bill_id)
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: psycopg.Cursor, query: str, *given: object, **options: object) -> psycopg.Cursor:
        statements.append(str(query))
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    api.added(bill_id)

    assert len([s for s in statements if "api_keys" in s]) == 1
    assert len([s for s in statements if "add_line_items" in s]) == 1
    assert len(statements) == 2
