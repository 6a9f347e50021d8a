"""The page of one bill, as it is opened and as it comes back with what is wrong in its form."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from webapp import queries
from webapp.pages.forms import Form
from webapp.pages.rendering import render
from webapp.pages.shown import (
    ITEMS_SHOWN,
    offered_currencies,
    shown_bill,
    shown_events,
    shown_items,
)
from webapp.system import system


def bill_page(
    bill_id: UUID,
    *,
    currency: str | None = None,
    before: int | None = None,
    added: int | None = None,
    form: Form | None = None,
) -> Response:
    """`before` a position: older items. `added`: the position of the item that was just added."""
    bill, items = queries.bill_with_items(system(), bill_id, limit=ITEMS_SHOWN, before=before)
    shown = shown_bill(system(), bill, currency)
    events, older_events = shown_events(system(), bill)
    form = form or blank_line_item(items[-1].currency if items else shown.totals.conversion.to.code)
    return render(
        "bills/show.html",
        status=form.status,
        shown=shown,
        form=form,
        currencies=offered_currencies(system(), bill),
        items=shown_items(system(), items, fresh_after=added - 1 if added else None),
        oldest=items[0].position if items else 0,
        events=events,
        older_events=older_events,
        is_newest_page=before is None,
        focus=added is not None,
        offered=system().supported_currencies,
    )


def blank_line_item(currency: str) -> Form:
    """An empty form for the next line, in the currency of the one before."""
    return Form({"description": "", "quantity": "", "unit_price": "", "currency": currency})
