"""The list of bills as CSV: all that is filtered, sent while it is being read, so that no length is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flask import Response, request

from billing.bill import Bill
from billing.clock import rfc3339
from billing.rates import Leg
from webapp import csv_text, queries
from webapp.exports.rows import BILLS, OF_THE_CURRENCY, of_the_bill, of_the_currency
from webapp.exports.streaming import Chunks, streamed
from webapp.formatting import plain
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.bill_list import filters_in, wanted_in
from webapp.pages.blueprint import pages
from webapp.rates import RatesInUse
from webapp.system import System, system

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
    day = queries.current_rates(found).as_of.date()
    return streamed(
        lambda: _lines(found, queries.every_bill(found, wanted), reporting),
        mimetype=csv_text.MIMETYPE,
        file_name=f"{'test-' if found.is_test else ''}bills-{day.isoformat()}.csv",
    )


def _lines(system: System, batches: Iterable[Sequence[Bill]], reporting: str | None) -> Chunks:
    converted = (f"payable_in_{reporting}", *OF_THE_CONVERSION) if reporting else ()
    text = csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([(*BILLS, *converted)])
    for batch in batches:
        yield text + csv_text.csv_lines(row for bill in batch for row in _rows(system, bill, reporting))
        text = ""
    if text:
        yield text


def _rows(system: System, bill: Bill, reporting: str | None) -> Iterator[tuple[str, ...]]:
    start, unconverted = of_the_bill(bill), ("",) * (1 + len(OF_THE_CONVERSION))
    if not bill.payables:
        yield (*start, *[""] * len(OF_THE_CURRENCY), *(unconverted if reporting else ()))
        return
    converted = _converted(system, bill, reporting) if reporting else {}
    for payable in bill.payables:
        last = converted.get(payable.currency.code, unconverted) if reporting else ()
        yield (*start, *of_the_currency(payable), *last)


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
