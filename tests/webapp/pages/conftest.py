"""The pages of an application on a real database; Temporal is out of reach, which no page may mind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine

from billing.bill import Bill, LineItem, LineItemDraft
from billing.ledger import bills, line_items
from billing.origin import Origin
from billing.period import Period
from billing.settings import DEFAULT_CURRENCIES
from tests.support.visitor import PASSWORD, Visitor
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import user_changes
from webapp.identity.roles import Role


@pytest.fixture(scope="module")
def app(database_url: str) -> Iterator[Flask]:
    environment = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": "only for tests, not a secret",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    made = create_app(Config.from_environment(environment))
    yield made
    made.extensions["pave"].close()


@pytest.fixture(scope="module")
def accounts(engine: Engine) -> dict[Role, str]:
    """An e-mail address for each role; all have the same password."""
    addresses = {role: f"{role}@example.com" for role in Role}
    for role, email in addresses.items():
        user_changes.create(engine, email=email, password=PASSWORD, role=role)
    return addresses


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Somebody who hasn't signed in."""
    return Visitor(app.test_client())


@pytest.fixture
def operator(visitor: Visitor, accounts: dict[Role, str]) -> Visitor:
    return visitor.signed_in(accounts[Role.OPERATOR])


@pytest.fixture
def viewer(app: Flask, accounts: dict[Role, str]) -> Visitor:
    return Visitor(app.test_client()).signed_in(accounts[Role.VIEWER])


@pytest.fixture
def admin(app: Flask, accounts: dict[Role, str]) -> Visitor:
    return Visitor(app.test_client()).signed_in(accounts[Role.ADMIN])


@pytest.fixture
def new_bill(engine: Engine, origin: Origin) -> Callable[..., Bill]:
    """Opens a bill of a new customer that ends in a month, or at `end`."""

    def open_(customer: str = "", *, end: datetime | None = None) -> Bill:
        now = datetime.now(UTC)
        # Not on the hour, where what a page says of the time left would change from one moment to the next.
        in_a_month = now + timedelta(days=30, minutes=30)
        period = Period(now - timedelta(days=1), end or in_a_month)
        return bills.open_bill(engine, origin, customer or f"customer-{uuid4().hex[:8]}", period).bill

    return open_


@pytest.fixture
def add(engine: Engine, origin: Origin) -> Callable[..., LineItem]:
    """Adds a line as an integrator does, past any page."""

    def add_(
        bill: Bill, description: str = "Fee", quantity: str = "1", price: str = "1", code: str = "USD"
    ) -> LineItem:
        draft = LineItemDraft.parse(description, quantity, price, code, offered=DEFAULT_CURRENCIES)
        return line_items.add(engine, origin, bill.id, draft)[1]

    return add_
