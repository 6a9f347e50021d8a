"""How any figure on a bill came about: in a dialog of the open page, or as a page of its own."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.errors import BillNotFound
from billing.ledger import bill_lines
from webapp import queries
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages import explained
from webapp.pages.blueprint import pages
from webapp.pages.explained import Explanation
from webapp.pages.ids import parse_bill_id, parse_item_id
from webapp.pages.rendering import page_or_dialog
from webapp.pages.shown import ShownTotals, shown_totals
from webapp.system import system

LINES_SHOWN = 10


@pages.get("/bills/<bill_id>/explanations/<kind>")
@allow(Role.VIEWER)
def show_explanation(bill_id: str, kind: str) -> ResponseReturnValue:
    """`kind` is subtotal, payable, converted or whole; `of` names the currency that the figure is in, `currency` the
    one in which the whole bill is shown."""
    code = request.args.get("of", "")
    bill = queries.bill(system(), parse_bill_id(bill_id))
    totals = shown_totals(system(), bill, request.args.get("currency"))
    explanation = _subtotal(bill, code) if kind == "subtotal" else _of_totals(totals, kind, code)
    return page_or_dialog(
        "explanations/show.html",
        bill=bill,
        explanation=explanation,
        rates=totals.rates if explanation.uses_rates else None,
        all_lines_of=code if kind == "subtotal" else None,
    )


@pages.get("/bills/<bill_id>/line-items/<item_id>/explanation")
@allow(Role.VIEWER)
def explain_line_item(bill_id: str, item_id: str) -> ResponseReturnValue:
    bill = queries.bill(system(), parse_bill_id(bill_id))
    item = queries.line_item(system(), bill.id, parse_item_id(item_id))
    return page_or_dialog(
        "explanations/show.html",
        bill=bill,
        explanation=explained.line_total(item),
        item=item,
        author=bill_lines.authors(system().engine, [item]).get(item.added_in_version),
        reversal=queries.reversals(system(), [item]).get(item.id),
    )


def _subtotal(bill: Bill, code: str) -> Explanation:
    """Raises BillNotFound for a currency in which the bill has no line."""
    if code not in bill.currencies:
        raise BillNotFound
    return explained.subtotal(bill_lines.subtotal_parts(system().engine, bill.id, code, newest=LINES_SHOWN), code)


def _of_totals(totals: ShownTotals, kind: str, code: str) -> Explanation:
    """Raises BillNotFound for a figure that the bill doesn't show."""
    conversion = totals.conversion
    if kind == "whole" and conversion.is_available:
        return explained.whole(conversion)
    line = next((line for line in totals.lines if line.payable.currency.code == code), None)
    if line is not None and kind == "payable":
        return explained.payable(line.payable)
    if line is not None and line.leg is not None and kind == "converted":
        return explained.converted(line.leg, conversion.to)
    raise BillNotFound
