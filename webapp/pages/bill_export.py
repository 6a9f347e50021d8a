"""The list of bills as CSV: all that is filtered, sent while it is being read, so that no length is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from flask import Response, request

from billing.bill import Bill
from billing.clock import rfc3339
from billing.money import Payable
from billing.rates import Leg
from webapp import csv_text, queries
from webapp.formatting import plain
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.bill_list import filters_in, wanted_in
from webapp.pages.blueprint import pages
from webapp.rates import RatesInUse
from webapp.system import System, system

OF_THE_BILL = (
    "number", "bill_id", "customer_id", "customer_name", "status", "period_start", "period_end", "lines",
    "created_at", "cut_off", "closed_at", "close_reason",
)  # fmt: skip
OF_THE_CURRENCY = ("currency", "subtotal", "rounding", "payable")
OF_THE_CONVERSION = ("rate_from", "rate_to", "rates_of", "rates")


@pages.get("/bills.csv")
@allow(Role.VIEWER)
def export_bills() -> Response:
    """A row for each bill and currency on it; one without figures for a bill on which nothing has accrued.

    With `in`, each row's payable in that currency too, by the bill's own rates: they add up to the whole bill. Beside
    it stands what it was converted by, so that anybody can recompute it: payable x rate_to / rate_from, rounded once.
    """
    found = system()
    wanted, reporting = wanted_in(found, filters_in(request.args))
    batches = queries.every_bill(found, wanted)
    # The first is read before the answer begins: a database out of reach is a page that says so.
    first = next(batches, ())
    response = Response(_lines(found, chain([first], batches), reporting), mimetype=csv_text.MIMETYPE)
    day = queries.current_rates(found).as_of.date()
    response.headers["Content-Disposition"] = f'attachment; filename="bills-{day.isoformat()}.csv"'
    return response


def _lines(system: System, batches: Iterable[Sequence[Bill]], reporting: str | None) -> Iterator[str]:
    converted = (f"payable_in_{reporting}", *OF_THE_CONVERSION) if reporting else ()
    yield csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([(*OF_THE_BILL, *OF_THE_CURRENCY, *converted)])
    for batch in batches:
        yield csv_text.csv_lines(row for bill in batch for row in _rows(system, bill, reporting))


def _rows(system: System, bill: Bill, reporting: str | None) -> Iterator[tuple[str, ...]]:
    start, unconverted = _of_the_bill(bill), ("",) * (1 + len(OF_THE_CONVERSION))
    if not bill.payables:
        yield (*start, *[""] * len(OF_THE_CURRENCY), *(unconverted if reporting else ()))
        return
    converted = _converted(system, bill, reporting) if reporting else {}
    for payable in bill.payables:
        last = converted.get(payable.currency.code, unconverted) if reporting else ()
        yield (*start, *_of_the_currency(payable), *last)


def _of_the_bill(bill: Bill) -> tuple[str, ...]:
    return (
        str(bill.number or ""),
        str(bill.id),
        csv_text.text(bill.customer.external_id),
        csv_text.text(bill.customer.name),
        bill.status,
        rfc3339(bill.period.start),
        rfc3339(bill.period.end),
        str(bill.item_count),
        rfc3339(bill.created_at),
        _instant(bill.effective_at or bill.close_requested_at),
        _instant(bill.closed_at),
        bill.close_reason or "",
    )


def _of_the_currency(payable: Payable) -> tuple[str, ...]:
    code = payable.currency.code
    return code, plain(payable.subtotal), plain(payable.rounding), plain(payable.amount, code)


def _converted(system: System, bill: Bill, code: str) -> dict[str, tuple[str, ...]]:
    """By currency; empty when a rate is missing."""
    rates, conversion = queries.in_currency(system, bill, code)
    return {leg.payable.currency.code: (plain(leg.converted, code), *_rates(leg, rates)) for leg in conversion.legs}


def _rates(leg: Leg, rates: RatesInUse) -> tuple[str, ...]:
    """Nothing for what is payable in that currency anyhow."""
    if leg.rate_from is None or leg.rate_to is None or rates.snapshot is None:
        return ("",) * len(OF_THE_CONVERSION)
    kind = "sample" if rates.snapshot.sample else "frozen" if rates.frozen else "indicative"
    return plain(leg.rate_from), plain(leg.rate_to), rfc3339(rates.snapshot.provider_time), kind


def _instant(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""
