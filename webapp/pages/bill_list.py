"""Which bills somebody wants to see, and in which order, as it stands in the address; and those bills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.bill import Bill, BillStatus
from billing.clock import parse_instant, rfc3339
from billing.errors import BillNotFound, InvalidArgument, UnsupportedCurrency
from billing.identifiers import parse_id
from billing.ledger.bill_list import NEWEST_FIRST, BillFilter, Order, Place, SortKey
from billing.rates import Conversion
from webapp import queries
from webapp.pages.addresses import address
from webapp.pages.forms import Form
from webapp.pages.inputs import day_after, day_start
from webapp.system import System

BILLS_A_PAGE = 50
FILTERS = ("q", "status", "currency", "customer", "from", "to", "in")
# What is set is said in so many words, and can be taken away; the search stands in its own field.
CHIPS = {
    "status": "Status",
    "currency": "Currency",
    "customer": "Customer",
    "from": "Period from",
    "to": "Period to",
    "in": "Whole in",
}


@dataclass(frozen=True, slots=True)
class ListedBill:
    bill: Bill
    conversion: Conversion | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set; `address` is the list without it."""

    name: str
    value: str
    address: str


@dataclass(frozen=True, slots=True)
class Column:
    """A heading that sorts: `address` is the list in this order, or in the opposite one where it has it already."""

    key: str
    address: str
    aria_sort: str | None


@dataclass(frozen=True, slots=True)
class BillList:
    """`next_address` is where the list goes on, if it does; `address` is its beginning. A `workbench` can be sorted,
    and its bills chosen; elsewhere the list is a part of another page."""

    form: Form
    bills: Sequence[ListedBill]
    sort: str
    columns: Mapping[str, Column]
    chips: Sequence[Chip]
    address: str
    next_address: str | None
    export_address: str
    reporting_currency: str | None
    currencies: Sequence[str]
    statuses: Sequence[str]
    is_filtered: bool
    is_continued: bool
    rates_are_samples: bool
    workbench: bool


def read(system: System, arguments: Mapping[str, str], *, workbench: bool = False) -> BillList:
    """What can't be right in a filter is said beside it, and no bills are listed."""
    chosen, order = filters_in(arguments), _order(arguments.get("sort", ""))
    form, found, reporting = Form(chosen), [], None
    after = _place(arguments["after"], order) if arguments.get("after") else None
    try:
        wanted, reporting = wanted_in(system, chosen)
        found = list(queries.bills(system, wanted, order=order, limit=BILLS_A_PAGE + 1, after=after))
    except InvalidArgument as refusal:
        form = form.refused(refusal)
    shown = found[:BILLS_A_PAGE]
    next_place = _text_of(Place.of(shown[-1], order)) if len(found) > BILLS_A_PAGE else None
    return BillList(
        form=form,
        bills=[ListedBill(bill, _conversion(system, bill, reporting)) for bill in shown],
        sort="" if order == NEWEST_FIRST else _sort(order),
        columns={key: _column(chosen, key, order) for key in SortKey},
        chips=[_chip(chosen, name, order) for name in CHIPS if name in chosen],
        address=_address(chosen, order),
        next_address=_address(chosen, order, after=next_place) if next_place else None,
        export_address=address("pages.export_bills", **chosen),
        reporting_currency=reporting,
        currencies=system.supported_currencies,
        statuses=list(BillStatus),
        is_filtered=bool(chosen.keys() - {"in"}),
        is_continued=after is not None,
        rates_are_samples=system.config.settings.sample_rates,
        workbench=workbench,
    )


def filters_in(arguments: Mapping[str, str]) -> dict[str, str]:
    """The filters that are set."""
    return {name: arguments[name].strip() for name in FILTERS if arguments.get(name, "").strip()}


def wanted_in(system: System, chosen: Mapping[str, str]) -> tuple[BillFilter, str | None]:
    """What is asked for, and the currency to show whole bills in. Raises InvalidArgument naming the filter."""
    reporting = chosen.get("in")
    if reporting is not None and reporting not in system.supported_currencies:
        raise UnsupportedCurrency(field="in")
    wanted = BillFilter(
        customer_id=_storable(chosen.get("customer")),
        status=_status(chosen.get("status")),
        currency=_storable(chosen.get("currency")),
        ends_after=day_start(chosen.get("from", ""), "from"),
        starts_before=day_after(chosen.get("to", ""), "to"),
        text=_storable(chosen.get("q")),
    )
    return wanted, reporting


def _status(text: str | None) -> BillStatus | None:
    try:
        return BillStatus(text) if text else None
    except ValueError:
        raise InvalidArgument("No such status", field="status") from None


def _storable(text: str | None) -> str | None:
    """PostgreSQL knows no NUL; what holds one is found nowhere, as is what is cut off."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:255] if text else None


def _order(text: str) -> Order:
    """`number`, or `-number` for the opposite direction; whatever else stands there, the newest come first."""
    try:
        return Order(SortKey(text.removeprefix("-")), descending=text.startswith("-"))
    except ValueError:
        return NEWEST_FIRST


def _sort(order: Order) -> str:
    return f"-{order.by}" if order.descending else str(order.by)


def _column(chosen: Mapping[str, str], key: SortKey, order: Order) -> Column:
    if key is not order.by:
        # Names begin with A, everything else with the newest.
        return Column(key, _address(chosen, Order(key, descending=key is not SortKey.CUSTOMER)), None)
    direction = "descending" if order.descending else "ascending"
    return Column(key, _address(chosen, Order(key, descending=not order.descending)), direction)


def _chip(chosen: Mapping[str, str], name: str, order: Order) -> Chip:
    value = chosen[name].capitalize() if name == "status" else chosen[name]
    others = {other: value for other, value in chosen.items() if other != name}
    return Chip(CHIPS[name], value, _address(others, order))


def _address(chosen: Mapping[str, str], order: Order, *, after: str | None = None) -> str:
    sort = None if order == NEWEST_FIRST else _sort(order)
    return address("pages.list_bills", **chosen, sort=sort, after=after)


def _place(text: str, order: Order) -> Place:
    """What `_text_of` wrote. Raises BillNotFound for anything else: there is no such page."""
    key, _, bill_id = text.rpartition("~")
    return Place(parse_id(bill_id, BillNotFound), _key(key, order))


def _key(text: str, order: Order) -> int | datetime | None:
    if order.by is SortKey.PERIOD_END:
        try:
            return parse_instant(text, "after")
        except InvalidArgument:
            raise BillNotFound from None
    if order.by is SortKey.NUMBER and text:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        if not number:
            raise BillNotFound
        return number
    return None


def _text_of(place: Place) -> str:
    if place.key is None:
        return str(place.bill_id)
    return f"{rfc3339(place.key) if isinstance(place.key, datetime) else place.key}~{place.bill_id}"


def _conversion(system: System, bill: Bill, code: str | None) -> Conversion | None:
    return queries.in_currency(system, bill, code)[1] if code else None
