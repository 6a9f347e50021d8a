"""A document's words and figures as the PDF's template takes them: text only, worked out here and nowhere else."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.rates import Leg
from webapp.documents.document import Document, DocumentLine
from webapp.formatting import figure, instant
from webapp.pages.shown import TotalsLine

_LONG_WORD = re.compile(r"[^\s-]{25,}")
_MAY_BREAK = "\N{ZERO WIDTH SPACE}"
_BREAK_EVERY = 8

# On every page of what is made of a test bill.
NOT_AN_INVOICE = "Test: not an invoice"
STANDINGS = {
    "accruing": "Open, still accruing",
    "closing": "Closing, takes no more lines",
    "closed": "Closed",
}


def template_data(document: Document) -> dict[str, Any]:
    bill = document.bill
    return {
        "title": document.title,
        "mark": NOT_AN_INVOICE if bill.test else "",
        "closed": bill.is_closed,
        "standing": STANDINGS[document.standing],
        "as_of": _utc(document.as_of.replace(microsecond=0)),
        "seller": _party(document.seller.name, document.seller.address, document.seller.tax_id),
        "customer": _party(document.customer_name, bill.customer.billing_address, "")
        | {"id": _breakable(bill.customer.external_id) if bill.customer.name else ""},
        "period": [_utc(bill.period.start), _utc(bill.period.end)],
        "reference": str(bill.id),
        "lines_title": f"Lines ({bill.item_count:,})" if bill.item_count else "Lines",
        "lines": [_line(line) for line in document.lines],
        "sums": [_sum(line) for line in document.totals.lines],
        "whole": _whole(document),
    }


def _utc(moment: datetime) -> str:
    return f"{instant(moment)} UTC"


def _party(name: str, address: str, tax_id: str) -> dict[str, Any]:
    lines = [_breakable(line.strip()) for line in address.splitlines() if line.strip()]
    return {"name": _breakable(name), "address": lines, "tax_id": _breakable(tax_id)}


def _breakable(text: str) -> str:
    """Words that are longer than a column may go on in the next line; all others stay as they are."""
    return _LONG_WORD.sub(_broken, text)


def _broken(word: re.Match[str]) -> str:
    whole = word[0]
    return _MAY_BREAK.join(whole[at : at + _BREAK_EVERY] for at in range(0, len(whole), _BREAK_EVERY))


def _line(line: DocumentLine) -> list[str]:
    """Position, description, remark, quantity, unit price, amount, currency."""
    item = line.item
    return [
        str(item.position),
        _breakable(item.description),
        _breakable(_remark(line)),
        figure(item.quantity),
        figure(item.unit_price),
        figure(item.total),
        item.currency,
    ]


def _remark(line: DocumentLine) -> str:
    if line.is_reversal:
        return f"Takes back line {line.counterpart}: {line.item.reason}"
    return f"Taken back by line {line.counterpart}" if line.is_reversed else ""


def _sum(line: TotalsLine) -> dict[str, str]:
    payable = line.payable
    code = payable.currency.code
    return {
        "code": code,
        "subtotal": figure(payable.subtotal),
        "rounding": _signed(payable.rounding) if payable.rounding else "",
        "payable": figure(payable.amount, code),
    }


def _signed(amount: Decimal) -> str:
    return figure(amount) if amount < 0 else f"+{figure(amount)}"


def _whole(document: Document) -> dict[str, Any] | None:
    """The bill in one currency, with the rates that show how; None where its amounts are in that one anyway."""
    if not document.is_converted:
        return None
    conversion, rates = document.conversion, document.rates
    return {
        "code": conversion.to.code,
        "amount": figure(conversion.amount, conversion.to.code) if conversion.amount is not None else "",
        "missing": list(conversion.missing),
        "legs": [_leg(leg, conversion.to.code) for leg in conversion.legs],
        "frozen": rates.frozen,
        "stale": rates.stale,
        "sample": bool(rates.snapshot and rates.snapshot.sample),
        "provider": rates.snapshot.provider if rates.snapshot else "",
        "base": rates.snapshot.base if rates.snapshot else "",
        "rates_time": _utc(rates.snapshot.provider_time) if rates.snapshot else "",
    }


def _leg(leg: Leg, code: str) -> dict[str, str]:
    source = leg.payable.currency.code
    return {
        "code": source,
        "payable": figure(leg.payable.amount, source),
        "rate_from": figure(leg.rate_from) if leg.rate_from is not None else "",
        "rate_to": figure(leg.rate_to) if leg.rate_to is not None else "",
        "converted": figure(leg.converted, code),
    }
