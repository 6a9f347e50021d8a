"""How every figure of a bill came about: all that is needed to compute it again, in one answer.

Lines are only ever added, so the lines that the bill had when it was read are still its first ones while they are
sent: the answer is of one instant without anything being held.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Response

from billing import money
from billing.bill import Bill
from billing.clock import rfc3339
from billing.ledger import documents, rate_choice
from billing.ledger.rate_choice import RateChoice
from billing.money import Payable
from billing.rates import Conversion, Leg
from webapp import queries
from webapp.api import render
from webapp.api.bill_answer import bill_id_in
from webapp.api.blueprint import api
from webapp.api.contract.answers import EXPLANATION, JSON, Answer, data
from webapp.api.contract.fields import SHOWN_IN
from webapp.api.contract.operation import operation
from webapp.api.parameters import parameters
from webapp.exports.places import TooManyExports
from webapp.exports.streaming import Chunks, streamed
from webapp.identity.access import allow
from webapp.identity.scopes import Scope
from webapp.queries import ReadBill
from webapp.system import System, system

# So many are answered at once; more are sent while they are read, by who has a place for that.
MOST_AT_ONCE = 1_000
LINES_A_CHUNK = 250
# More than the currency has: enough to see which way a conversion was rounded.
DECIMALS_BEFORE_ROUNDING = 6

RULES = {
    "total": "of a line: quantity x unit_price, exact, never rounded",
    "subtotal": "of a currency: the exact sum of its lines' totals, reversals included",
    "payable": "the subtotal rounded once, half up (away from zero), to the currency's minor_units",
    "rounding": "payable - subtotal",
    "unrounded": "of a leg: payable x rate_to / rate_from, its first unrounded_decimals decimals, the rest cut off",
    "converted": "of a leg: payable x rate_to / rate_from, rounded once, half up (away from zero), to the minor_units "
    "of the currency it is converted into; a payable in that currency is taken as it is",
    "amount": "of a conversion: the sum of its legs' converted; null where a rate is missing: never 0, never in part",
    "used": "units of each currency per 1 of base; rate_from and rate_to of every leg are these",
    "missing": "the currencies of a conversion, its own and those of its payables, of which the rates in use have none",
    "cut_off": "the earlier of close_requested_at and period_end; what came from then on was refused",
    "rates": "the newest snapshot accepted at or before the cut-off of a closed bill; of others the newest, which may "
    "change until they close",
    "stale": "as_of - updated_at is more than stale_after_seconds; samples never are",
}


@api.get("/bills/<bill_id>/explain")
@allow(Scope.BILLS_READ)
@operation(
    "Explain a bill's figures",
    query=(SHOWN_IN,),
    answers={200: Answer("How every figure came about.", data(EXPLANATION))},
    refusals=(TooManyExports,),
)
def explain_bill(bill_id: str) -> Response:
    """All that is needed to compute the bill again, with all of its line items."""
    asked = parameters()
    bill = queries.bill(system(), bill_id_in(bill_id))
    read = queries.read(system(), bill, queries.wanted_currency(system(), bill, asked.get("currency")))
    # Read before anything is sent: what is refused is answered as such.
    chunks = _chunks(system(), bill, render.to_json(explanation(read, _choice(system(), read), _stale_after(system()))))
    if bill.item_count <= MOST_AT_ONCE:
        return Response("".join(chunks), mimetype=JSON)
    return streamed(lambda: chunks, mimetype=JSON)


def _chunks(system: System, bill: Bill, explanation: str) -> Chunks:
    yield f'{{"data":{explanation[:-1]},"line_items":['
    texts: list[str] = []
    for item, _ in documents.every_line(system.engine, bill):
        texts.append(render.line_item(item))
        # The last waits for its end: only it has no comma behind it.
        if len(texts) == LINES_A_CHUNK and item.position < bill.item_count:
            yield ",".join(texts) + ","
            texts = []
    yield ",".join(texts) + "]}}\n"


def _choice(system: System, read: ReadBill) -> RateChoice | None:
    snapshot = read.rates.snapshot
    return rate_choice.read(system.engine, snapshot.id) if snapshot else None


def _stale_after(system: System) -> timedelta:
    return system.config.settings.rates_stale_after


def explanation(read: ReadBill, choice: RateChoice | None, stale_after: timedelta) -> dict[str, Any]:
    """Without the lines. `choice` is why it was these rates, where there are any."""
    bill = read.bill
    value: dict[str, Any] = {
        "bill_id": str(bill.id),
        "status": bill.status,
        "version": bill.version,
        "item_count": bill.item_count,
        "rules": RULES,
        "subtotals": {payable.currency.code: _payable(payable) for payable in read.payables},
        "cut_off": _cut_off(bill),
        "rates": _rates(read, choice, stale_after),
        "converted": {conversion.to.code: _conversion(conversion) for conversion in read.conversions},
    }
    if bill.number is not None:
        value["number"] = bill.number
    return value


def _payable(payable: Payable) -> dict[str, Any]:
    return {
        "subtotal": money.plain(payable.subtotal),
        "minor_units": payable.currency.minor_units,
        "rounding": money.plain(payable.rounding),
        "payable": money.plain_minor(payable.amount, payable.currency),
    }


def _cut_off(bill: Bill) -> dict[str, Any]:
    """`at` is null while nobody has asked for the closing and nothing has closed the bill."""
    wished = min(bill.close_requested_at, bill.period.end) if bill.close_requested_at else None
    return {
        "at": _instant(bill.effective_at or wished),
        "period_end": rfc3339(bill.period.end),
        "close_requested_at": _instant(bill.close_requested_at),
        "close_reason": bill.close_reason,
        "closed_at": _instant(bill.closed_at),
    }


def _rates(read: ReadBill, choice: RateChoice | None, stale_after: timedelta) -> dict[str, Any]:
    """The snapshot, when it was the newest one, which is why it was chosen, and those of its rates that were used."""
    rates, snapshot = read.rates, read.rates.snapshot
    value = {**render.rates_in_use(rates), "as_of": rfc3339(rates.as_of)}
    if snapshot is None or choice is None:
        return {**value, "reason": "no snapshot had been accepted"}
    return {
        **value,
        "stale_after_seconds": int(stale_after.total_seconds()),
        "accepted_at": rfc3339(choice.accepted_at),
        "next_accepted_at": _instant(choice.next_accepted_at),
        "base": snapshot.base,
        "used": _used(read),
    }


def _used(read: ReadBill) -> Mapping[str, str]:
    """Units of the currency per 1 of the base; also those that were there where others are missing."""
    present = {payable.currency.code for payable in read.payables}
    asked = {
        code for conversion in read.conversions for code in {*present, conversion.to.code} if _is_foreign(conversion)
    }
    rates = read.rates.snapshot.rates if read.rates.snapshot else {}
    return {code: money.plain(rates[code]) for code in sorted(asked & rates.keys())}


def _is_foreign(conversion: Conversion) -> bool:
    """A conversion of payables in its own currency alone takes no rate."""
    return bool(conversion.missing) or any(leg.rate_to is not None for leg in conversion.legs)


def _conversion(conversion: Conversion) -> dict[str, Any]:
    to = conversion.to
    if conversion.amount is None:
        return {"amount": None, "reason": conversion.reason, "missing": list(conversion.missing)}
    return {
        "amount": money.plain_minor(conversion.amount, to),
        "minor_units": to.minor_units,
        "legs": [_leg(leg, conversion) for leg in conversion.legs],
    }


def _leg(leg: Leg, conversion: Conversion) -> dict[str, Any]:
    of, to = leg.payable, conversion.to
    value: dict[str, Any] = {
        "currency": of.currency.code,
        "payable": money.plain_minor(of.amount, of.currency),
        "converted": money.plain_minor(leg.converted, to),
    }
    if leg.rate_from is not None and leg.rate_to is not None:
        decimals = to.minor_units + DECIMALS_BEFORE_ROUNDING
        value["rate_from"], value["rate_to"] = money.plain(leg.rate_from), money.plain(leg.rate_to)
        value["unrounded"] = money.plain(money.leading_decimals(leg.exact, decimals))
        value["unrounded_decimals"] = decimals
    return value


def _instant(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
