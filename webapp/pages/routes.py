"""Every page: importing this is what puts them on the blueprint."""

from __future__ import annotations

from webapp.pages import (
    bills,
    changes,
    closures,
    customers,
    events,
    line_items,
    periods,
    rates,
    reversals,
    sessions,
    workflows,
)
from webapp.pages.blueprint import pages

__all__ = [
    "bills",
    "changes",
    "closures",
    "customers",
    "events",
    "line_items",
    "pages",
    "periods",
    "rates",
    "reversals",
    "sessions",
    "workflows",
]
