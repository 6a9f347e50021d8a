"""Values for tests that write to the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from billing.bill import Bill, LineItemDraft
from billing.origin import Origin

OFFERED = ("USD", "GEL", "EUR", "JPY", "KWD")
OpenBill = Callable[..., Bill]


def draft(
    description: str = "Fee", quantity: str = "6", unit_price: str = "0.6", currency: str = "GEL"
) -> LineItemDraft:
    return LineItemDraft.parse(description, quantity, unit_price, currency, offered=OFFERED)


def keyed(origin: Origin, key: str | None = None) -> Origin:
    """The same caller, asking with an idempotency key."""
    return replace(origin, idempotency_key=key or uuid4().hex)
