"""The list of bills as CSV: all that is filtered, sent while it is being read, so that no length is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from flask import Response, request

from billing.bill import Bill
from billing.clock import rfc3339
from billing.money import Payable
from webapp import csv_text, queries
from webapp.formatting import plain
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.bill_list import filters_in, wanted_in
from webapp.pages.blueprint import pages
from webapp.system import System, system

OF_THE_BILL = (
    "number", "bill_id", "customer_id", "customer_name", "status", "period_start", "period_end", "lines",
    "created_at", "cut_off", "closed_at", "close_reason",
)  # fmt: skip
OF_THE_CURRENCY = ("currency", "subtotal", "rounding", "payable")


@pages.get("/bills.csv")
@allow(Role.VIEWER)
def export_bills() -> Response:
    """A row for each bill and currency on it; one without figures for a bill on which nothing has accrued.

    With `in`, each row's payable in that currency too, by the bill's own rates: they add up to the whole bill.
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
    converted = (f"payable_in_{reporting}",) if reporting else ()
    yield csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([(*OF_THE_BILL, *OF_THE_CURRENCY, *converted)])
    for batch in batches:
        yield csv_text.csv_lines(row for bill in batch for row in _rows(system, bill, reporting))


def _rows(system: System, bill: Bill, reporting: str | None) -> Iterator[tuple[str, ...]]:
    start = _of_the_bill(bill)
    if not bill.payables:
        yield (*start, *[""] * (len(OF_THE_CURRENCY) + bool(reporting)))
        return
    converted = _converted(system, bill, reporting) if reporting else {}
    for payable in bill.payables:
        last = (converted.get(payable.currency.code, ""),) if reporting else ()
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


def _converted(system: System, bill: Bill, code: str) -> dict[str, str]:
    """By currency; empty when a rate is missing."""
    legs = queries.in_currency(system, bill, code)[1].legs
    return {leg.payable.currency.code: plain(leg.converted, code) for leg in legs}


def _instant(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""
