from __future__ import annotations

from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.ledger import closing
from billing.origin import by_the_system
from tests.support.api import Api
from webapp.identity import api_keys
from webapp.identity.roles import Role


@pytest.fixture
def api(client: FlaskClient, engine: Engine) -> Api:
    """An operator's caller."""
    return Api(client, api_keys.create(engine, name="ledger-sync", role=Role.OPERATOR))


@pytest.fixture
def viewer(client: FlaskClient, engine: Engine) -> Api:
    return Api(client, api_keys.create(engine, name="dashboard", role=Role.VIEWER))


@pytest.fixture
def admin(client: FlaskClient, engine: Engine) -> Api:
    return Api(client, api_keys.create(engine, name="back office", role=Role.ADMIN))


@pytest.fixture
def tester(client: FlaskClient, engine: Engine) -> Api:
    """Of the operator's account, with a key of test mode."""
    return Api(client, api_keys.create(engine, name="ledger-sync", role=Role.OPERATOR, test=True))


@pytest.fixture
def stranger(client: FlaskClient) -> Api:
    """Somebody without a key."""
    return Api(client)


@pytest.fixture
def close(api: Api, engine: Engine):
    """Closes a bill whole, as its workflow would."""

    def close(bill_id: str) -> None:
        api.post(f"/bills/{bill_id}/close")
        assert isinstance(closing.close_bill(engine, by_the_system("test"), UUID(bill_id), samples=True), Bill)

    return close


@pytest.fixture
def end_period(engine: Engine):
    """Moves a bill's end into the past, where no rule would let it be moved."""

    def end_period(bill_id: str) -> None:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE bills SET period_end = billing_now() - interval '1 ms' WHERE id = :id"), {"id": bill_id}
            )

    return end_period
