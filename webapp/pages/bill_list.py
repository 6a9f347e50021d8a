"""Which bills somebody wants to see, as it stands in the address, and those bills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import url_for

from billing.bill import Bill, BillStatus
from billing.errors import BillNotFound, InvalidArgument, UnsupportedCurrency
from billing.identifiers import parse_id
from billing.ledger.reads import BillFilter
from billing.rates import Conversion
from webapp import queries
from webapp.pages.forms import Form
from webapp.pages.inputs import day_after, day_start
from webapp.system import System

BILLS_A_PAGE = 50
FILTERS = ("q", "status", "currency", "customer", "from", "to", "in")


@dataclass(frozen=True, slots=True)
class ListedBill:
    bill: Bill
    conversion: Conversion | None


@dataclass(frozen=True, slots=True)
class BillList:
    """`next_address` is where the older ones are, if there are any; `address` is this list's own."""

    form: Form
    bills: Sequence[ListedBill]
    address: str
    next_address: str | None
    reporting_currency: str | None
    currencies: Sequence[str]
    statuses: Sequence[str]
    is_filtered: bool
    is_continued: bool
    rates_are_samples: bool


def read(system: System, arguments: Mapping[str, str]) -> BillList:
    """What can't be right in a filter is said beside it, and no bills are listed."""
    chosen = {name: arguments[name].strip() for name in FILTERS if arguments.get(name, "").strip()}
    form, found, reporting = Form(chosen), [], None
    try:
        wanted = _filter(chosen)
        reporting = _reporting_currency(system, chosen.get("in"))
        before = parse_id(arguments["before"], BillNotFound) if arguments.get("before") else None
        found = list(queries.bills(system, wanted, limit=BILLS_A_PAGE + 1, before=before))
    except InvalidArgument as refusal:
        form = form.refused(refusal)
    shown = found[:BILLS_A_PAGE]
    return BillList(
        form=form,
        bills=[ListedBill(bill, _conversion(system, bill, reporting)) for bill in shown],
        address=url_for("pages.list_bills", **chosen),
        next_address=_next_address(chosen, shown) if len(found) > BILLS_A_PAGE else None,
        reporting_currency=reporting,
        currencies=system.supported_currencies,
        statuses=list(BillStatus),
        is_filtered=bool(chosen.keys() - {"in"}),
        is_continued="before" in arguments,
        rates_are_samples=system.config.settings.sample_rates,
    )


def _filter(chosen: Mapping[str, str]) -> BillFilter:
    return BillFilter(
        customer_id=_storable(chosen.get("customer")),
        status=_status(chosen.get("status")),
        currency=_storable(chosen.get("currency")),
        ends_after=day_start(chosen.get("from", ""), "from"),
        starts_before=day_after(chosen.get("to", ""), "to"),
        text=_storable(chosen.get("q")),
    )


def _status(text: str | None) -> BillStatus | None:
    try:
        return BillStatus(text) if text else None
    except ValueError:
        raise InvalidArgument("No such status", field="status") from None


def _storable(text: str | None) -> str | None:
    """PostgreSQL knows no NUL; what holds one is found nowhere, as is what is cut off."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:255] if text else None


def _reporting_currency(system: System, code: str | None) -> str | None:
    if code is None or code in system.supported_currencies:
        return code
    raise UnsupportedCurrency(field="in")


def _conversion(system: System, bill: Bill, code: str | None) -> Conversion | None:
    return queries.in_currency(system, bill, code)[1] if code else None


def _next_address(chosen: Mapping[str, str], shown: Sequence[Bill]) -> str:
    return url_for("pages.list_bills", **chosen, before=shown[-1].id)
