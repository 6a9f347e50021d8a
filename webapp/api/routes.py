"""Every route of the API: importing this is what puts them on the blueprint."""

from __future__ import annotations

from webapp.api import (
    batches,
    bills,
    clocks,
    currencies,
    customers,
    errors,
    events,
    explanations,
    exports,
    feed,
    imports,
    line_items,
    negotiation,
    rate_headers,
    rates,
    reversals,
    webhook_endpoints,
)
from webapp.api.blueprint import api

__all__ = [
    "api",
    "batches",
    "bills",
    "clocks",
    "currencies",
    "customers",
    "errors",
    "events",
    "explanations",
    "exports",
    "feed",
    "imports",
    "line_items",
    "rates",
    "reversals",
    "webhook_endpoints",
]

errors.register(api)
negotiation.register(api)
rate_headers.register(api)
