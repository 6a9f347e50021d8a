from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from billing.bill import Bill, LineItemDraft
from billing.ledger import bills
from billing.origin import Origin
from billing.period import Period

OFFERED = ("USD", "GEL", "EUR", "JPY", "KWD")
OpenBill = Callable[..., Bill]


def draft(
    description: str = "Fee", quantity: str = "6", unit_price: str = "0.6", currency: str = "GEL"
) -> LineItemDraft:
    return LineItemDraft.parse(description, quantity, unit_price, currency, offered=OFFERED)


def keyed(origin: Origin, key: str | None = None) -> Origin:
    return replace(origin, idempotency_key=key or uuid4().hex)


@pytest.fixture
def open_bill(engine: Engine, origin: Origin) -> OpenBill:
    """Opens a bill of a new customer, a month long unless told otherwise."""

    def open_(*, ends_in: timedelta = timedelta(days=30)) -> Bill:
        now = datetime.now(UTC)
        return bills.open_bill(engine, origin, f"customer-{uuid4().hex}", Period(now, now + ends_in)).bill

    return open_
