"""Elements that stand in every row of every list, for templates/macros.html: as macros, they took half of a page's time.

What goes into them is escaped, or can't be markup: figures, instants and words of our own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from billing.clock import rfc3339
from webapp.formatting import day_minute, grouped, instant, minute, plain


def money(amount: Decimal, code: str, payable: bool = False, **attributes: str) -> Markup:  # noqa: FBT001, FBT002
    """A figure with its currency: exact, or with `payable` to all minor units. The value for programs is beside it."""
    value = plain(amount, code if payable else None)
    return Markup(
        f'<data class="money {escape(attributes.get("class", ""))}" value="{value}">'
        f'<span class="figure">{grouped(value, amount)}</span> <span class="code">{escape(code)}</span></data>'
    )


def moment(at: datetime) -> Markup:
    """When something happens, to the instant; all times are UTC."""
    exact = rfc3339(at)
    return Markup(f'<time datetime="{exact}" title="{exact}">{instant(at)} <span class="zone">UTC</span></time>')


def when(at: datetime, year: bool = True) -> Markup:  # noqa: FBT001, FBT002 - as templates write it
    """When something happened, to the minute."""
    exact = rfc3339(at)
    return Markup(f'<time datetime="{exact}" title="{exact}">{minute(at) if year else day_minute(at)}</time>')


def status(bill: Any) -> Markup:
    return Markup(f'<span class="status {bill.status}">{bill.status.capitalize()}</span>')


ELEMENTS = {"money": money, "moment": moment, "when": when, "status": status}
