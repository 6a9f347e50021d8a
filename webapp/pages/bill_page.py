"""The page of one bill, as it is opened and as it comes back with what is wrong in its form."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from flask import Response, request, url_for

from webapp.pages.forms import Form
from webapp.pages.rendering import render
from webapp.pages.shown import offered_currencies, opened, shown_bill, shown_search
from webapp.system import system


def bill_page(
    bill_id: UUID,
    *,
    currency: str | None = None,
    before: int | None = None,
    added: int | None = None,
    search: str = "",
    form: Form | None = None,
) -> Response:
    """`before` a position: older items, or older ones of the `search`. `added`: that of the item just added."""
    searched = shown_search(system(), bill_id, search, before=before)
    before = None if searched.text else before
    found = opened(system(), bill_id, before=before, fresh_after=added - 1 if added else None)
    bill, items = found.bill, found.items
    shown = shown_bill(system(), bill, currency, links=found.links)
    form = form or blank_line_item(items[0].item.currency if items else shown.totals.conversion.to.code)
    return render(
        "bills/show.html",
        status=form.status,
        shown=shown,
        form=form,
        currencies=offered_currencies(system(), bill),
        items=items,
        oldest=items[-1].item.position if items else 0,
        search=searched,
        events=found.events,
        older_events=found.older_events,
        is_newest_page=before is None,
        focus=added is not None,
        offered=system().supported_currencies,
    )


def blank_line_item(currency: str) -> Form:
    """An empty form for the next line, in the currency of the one before."""
    return Form({"description": "", "quantity": "", "unit_price": "", "currency": currency})


def open_address(bill_id: UUID, **changed: str | None) -> str:
    """The address of the open page with this much of its query changed: the currency shown, the search."""
    query = urlsplit(request.htmx.current_url or "").query  # type: ignore[attr-defined]
    kept = {name: value for name, value in parse_qsl(query) if name in {"currency", "q"}}
    return url_for("pages.show_bill", bill_id=bill_id, **{n: v for n, v in (kept | changed).items() if v})
