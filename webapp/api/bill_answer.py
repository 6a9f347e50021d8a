"""The answer that most calls give: a bill as it stands, with its newest items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import Response, current_app

from billing.bill import RECENT_ITEMS, Bill, LineItem
from billing.errors import BillNotFound
from billing.identifiers import parse_id
from webapp import queries
from webapp.api import cursors, render
from webapp.api.parameters import parameters
from webapp.api.recent_items import RecentItems
from webapp.system import System

OLDER_ITEMS = "older-items"


def bill_id_in(text: str) -> UUID:
    return parse_id(text, BillNotFound)


def wanted_currency(system: System, bill_id: UUID) -> str | None:
    """The currency that a call which changes a bill wants to see it in; settled before anything changes.

    Raises UnsupportedCurrency.
    """
    code = parameters().get("currency")
    if code is None or code in system.supported_currencies:
        return code
    return queries.wanted_currency(system, queries.bill(system, bill_id), code)


def bill_answer(
    system: System,
    bill: Bill,
    currency: str | None = None,
    *,
    known: Sequence[LineItem] = (),
    beside: Mapping[str, str] | None = None,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    """`known` are the bill's newest items, as many as are at hand; `beside` further members of the answer, as JSON."""
    texts = recent_items().of(system.engine, bill, known)
    cursor = older_items_cursor(bill, bill.item_count - len(texts) + 1)
    data = render.bill(queries.read(system, bill, currency), render.array(texts), cursor)
    return render.answer({"data": data, **(beside or {})}, status=status, replayed=replayed)


def older_items_cursor(bill: Bill, first_shown: int) -> str | None:
    """None when the first item shown is the bill's first."""
    if bill.item_count <= RECENT_ITEMS or first_shown <= 1:
        return None
    return cursors.sign(first_shown, OLDER_ITEMS, str(bill.id))


def recent_items() -> RecentItems:
    """One per process and application."""
    kept: RecentItems = current_app.extensions["recent_items"]
    return kept
