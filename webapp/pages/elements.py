"""Elements that stand in every row of long tables: as macros of Jinja's they took half of a page's time.

Templates have them as `elements`, those that are everywhere by templates/macros.html. What goes into them is escaped,
or can't be markup: figures, instants, ids and words of our own.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from markupsafe import Markup, escape

from billing.bill import Bill, LineItem
from billing.clock import rfc3339
from billing.period import Period
from webapp.formatting import day_minute, grouped, instant, minute, plain
from webapp.pages.addresses import address


def money(amount: Decimal, code: str, payable: bool = False, **attributes: str) -> Markup:
    """A figure with its currency: exact, or with `payable` to all minor units. The value for programs is beside it."""
    return Markup(_money(amount, code, payable, attributes.get("class", "")))  # noqa: S704


def sums(bill: Bill) -> Markup:
    """What accrued in each currency: the cell of a row, which is made at once."""
    return Markup("".join(f"{_money(subtotal, code)} " for code, subtotal in bill.subtotals))  # noqa: S704


def _money(amount: Decimal, code: str, payable: bool = False, kind: str = "") -> str:
    value = plain(amount, code if payable else None)
    return (
        f'<data class="money {escape(kind) if kind else ""}" value="{value}">'
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
    return Markup(_when(at, year))  # noqa: S704


def span(period: Period) -> Markup:
    """From when to when: the cell of a row, which is made at once."""
    return Markup(f'{_when(period.start)} <span class="to">to</span> {_when(period.end)}')  # noqa: S704


def _when(at: datetime, year: bool = True) -> str:
    exact, shown = rfc3339(at), minute(at) if year else day_minute(at)
    return f'<time datetime="{exact}" title="{exact}">{shown}</time>'


def status(bill: Bill) -> Markup:
    test = ' <span class="status warn">Test</span>' if bill.test else ""
    return Markup(f'<span class="status {bill.status}">{bill.status.capitalize()}</span>{test}')  # noqa: S704


def why_line(item: LineItem, bill: Bill) -> Markup:
    """A line's amount, which explains itself when it is followed."""
    return _why(money(item.total, item.currency), line_address(item, "pages.explain_line_item", bill))


def why(figure: Markup, bill: Bill, kind: str, in_dialog: bool, **of: str) -> Markup:
    """A figure of the bill that explains itself when it is followed. In a dialog it is only the figure."""
    if in_dialog:
        return figure
    return _why(figure, address("pages.show_explanation", bill_id=bill.id, kind=kind, **of))


def _why(figure: Markup, explained_at: str) -> Markup:
    explained = escape(explained_at)
    return Markup(  # noqa: S704
        f'<a class="why" href="{explained}" hx-get="{explained}" hx-target="#dialog-slot" title="How this came about">'
        f'{figure}<span class="hidden">, explain</span></a>'
    )


def bill_address(bill: Bill) -> str:
    return address("pages.show_bill", bill_id=bill.id)


def line_address(item: LineItem, endpoint: str, bill: Bill) -> str:
    return address(endpoint, bill_id=bill.id, item_id=item.id)


# In rows they are used as filters, which Jinja calls in a third of the time that it takes for any other call.
FILTERS = {
    made.__name__: made for made in (money, sums, moment, when, span, status, why, why_line, bill_address, line_address)
}
