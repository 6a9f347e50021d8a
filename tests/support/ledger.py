"""Values for tests that write to the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from sqlalchemy import Engine, text

from billing.bill import Bill, LineItemDraft
from billing.ledger import reads
from billing.ledger.database import transaction
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


END_NOW = text("UPDATE bills SET period_end = billing_now() WHERE id = :id")


def ended(engine: Engine, bill: Bill) -> Bill:
    """The bill with its end moved to this moment, where no rule would let it be moved: one that comes by itself may
    come too soon for what is to happen before."""
    with transaction(engine) as connection:
        connection.execute(END_NOW, {"id": bill.id})
    return reads.bill(engine, bill.id)
