"""Elements that stand in every row of long tables: as macros of Jinja's they took half of a page's time.

Templates have them as `elements`, those that are everywhere by templates/macros.html. What goes into them is escaped,
or can't be markup: figures, instants, ids and words of our own.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from flask import request, url_for
from markupsafe import Markup, escape

from billing.bill import Bill, LineItem
from billing.clock import rfc3339
from webapp.formatting import day_minute, grouped, instant, minute, plain

# Stand for ids in an address that is made once; no address has them otherwise.
_BILL, _ITEM = "A-BILL", "AN-ITEM"


def money(amount: Decimal, code: str, payable: bool = False, **attributes: str) -> Markup:
    """A figure with its currency: exact, or with `payable` to all minor units. The value for programs is beside it."""
    value = plain(amount, code if payable else None)
    return Markup(  # noqa: S704
        f'<data class="money {escape(attributes.get("class", ""))}" value="{value}">'
        f'<span class="figure">{grouped(value, amount)}</span> <span class="code">{escape(code)}</span></data>'
    )


def moment(at: datetime) -> Markup:
    """When something happens, to the instant; all times are UTC."""
    exact = rfc3339(at)
    return Markup(  # noqa: S704
        f'<time datetime="{exact}" title="{exact}">{instant(at)} <span class="zone">UTC</span></time>'
    )


def when(at: datetime, year: bool = True) -> Markup:
    """When something happened, to the minute."""
    exact, shown = rfc3339(at), minute(at) if year else day_minute(at)
    return Markup(f'<time datetime="{exact}" title="{exact}">{shown}</time>')  # noqa: S704


def status(bill: Bill) -> Markup:
    return Markup(f'<span class="status {bill.status}">{bill.status.capitalize()}</span>')  # noqa: S704


def why_line(bill: Bill, item: LineItem) -> Markup:
    """A line's amount, which explains itself when it is followed; templates/explanations/_why.html has all others."""
    address = line_address("pages.explain_line_item", bill, item)
    return Markup(  # noqa: S704
        f'<a class="why" href="{address}" hx-get="{address}" hx-target="#dialog-slot" title="How this came about">'
        f'{money(item.total, item.currency)}<span class="hidden">, explain</span></a>'
    )


def bill_address(bill: Bill) -> str:
    return _address("pages.show_bill", request.script_root).replace(_BILL, str(bill.id))


def line_address(endpoint: str, bill: Bill, item: LineItem) -> str:
    address = _address(endpoint, request.script_root, with_item=True)
    return address.replace(_BILL, str(bill.id)).replace(_ITEM, str(item.id))


@lru_cache
def _address(endpoint: str, _root: str, *, with_item: bool = False) -> str:
    """Made once: making each anew took longer than everything else about a row."""
    return url_for(endpoint, bill_id=_BILL, **({"item_id": _ITEM} if with_item else {}))
