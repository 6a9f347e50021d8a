"""What a reader sees: bills with their conversions, lists, events. Temporal is asked for its own state only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from billing import money
from billing.bill import RECENT_ITEMS, Bill, Customer, LineItem
from billing.deliveries import Quarantined
from billing.errors import UnsupportedCurrency
from billing.ledger import bill_list, events, reads, requests
from billing.ledger import rates as stored_rates
from billing.ledger.bill_list import EVERY_BILL, NEWEST_FIRST, BillFilter, Order, Place
from billing.ledger.events import Event
from billing.ledger.rates import Attempt
from billing.ledger.requests import StoredRequest
from billing.rates import Conversion, convert
from webapp.rates import RatesInUse
from webapp.system import System
from workflows.messages import WorkflowState


@dataclass(frozen=True, slots=True)
class ReadBill:
    """A bill as a reader sees it: with the rates in use and the whole of it in each currency wanted."""

    bill: Bill
    rates: RatesInUse
    payables: tuple[money.Payable, ...]
    conversions: tuple[Conversion, ...]


def read(system: System, bill: Bill, currency: str | None = None) -> ReadBill:
    """The bill in each currency on it, and in `currency` (see `wanted_currency`)."""
    rates = system.rates.of_bill(bill)
    payables = bill.payables
    codes = dict.fromkeys((*bill.currencies, currency) if currency else bill.currencies)
    conversions = tuple(convert(payables, rates.snapshot, money.currency(code)) for code in codes)
    return ReadBill(bill, rates, payables, conversions)


def in_currency(system: System, bill: Bill, code: str) -> tuple[RatesInUse, Conversion]:
    """The bill's rates, and the whole of it in one currency."""
    rates = system.rates.of_bill(bill)
    return rates, convert(bill.payables, rates.snapshot, money.currency(code))


def wanted_currency(system: System, bill: Bill, code: str | None) -> str | None:
    """The currency a reader asks for: one that is offered, or is on the bill. Raises UnsupportedCurrency."""
    if code is None or code in bill.currencies or code in system.supported_currencies:
        return code
    raise UnsupportedCurrency(field="currency")


def bill(system: System, bill_id: UUID) -> Bill:
    return reads.bill(system.engine, bill_id)


def bill_with_items(
    system: System, bill_id: UUID, *, limit: int = RECENT_ITEMS, before: int | None = None
) -> tuple[Bill, Sequence[LineItem]]:
    """The bill and its newest items (those before a position), oldest of them first, at one instant."""
    return reads.bill_with_items(system.engine, bill_id, limit=limit, before=before)


def reversals(system: System, items: Sequence[LineItem]) -> Mapping[UUID, LineItem]:
    """Which of these items were taken back, and by which item."""
    return reads.reversals_of(system.engine, items)


def line_items(system: System, bill_id: UUID, *, after: int, limit: int) -> Sequence[LineItem]:
    """Oldest first, those after a position."""
    return reads.items_after(system.engine, bill_id, position=after, limit=limit)


def bills(
    system: System,
    wanted: BillFilter = EVERY_BILL,
    *,
    order: Order = NEWEST_FIRST,
    limit: int,
    after: Place | None = None,
) -> Sequence[Bill]:
    """A page of the list; `after` is the place where the page before ended."""
    return bill_list.bills(system.engine, wanted, order=order, limit=limit, after=after)


def every_bill(system: System, wanted: BillFilter) -> Iterator[Sequence[Bill]]:
    """All bills that fit, newest first, in batches."""
    return bill_list.in_batches(system.engine, wanted)


def line_item(system: System, bill_id: UUID, item_id: UUID) -> LineItem:
    """Raises LineItemNotFound."""
    return reads.line_item(system.engine, bill_id, item_id)


def bill_events(system: System, bill_id: UUID, *, after_version: int, limit: int) -> Sequence[Event]:
    """In the order of the versions they made. Raises BillNotFound."""
    reads.bill(system.engine, bill_id)
    return events.of_subject(system.engine, bill_id, after_version=after_version, limit=limit)


def line_item_request(
    system: System, bill_id: UUID, request_id: UUID, *, of_account: UUID | None = None
) -> StoredRequest:
    """Whoever asked for it, or this account alone."""
    reads.bill(system.engine, bill_id)
    return requests.read(system.engine, bill_id, request_id, of_account=of_account)


def customer(system: System, external_id: str) -> Customer:
    return reads.customer(system.engine, external_id)


def customer_by_id(system: System, customer_id: UUID) -> Customer:
    """By our own id, which unlike theirs fits into any address."""
    return reads.customer_by_id(system.engine, customer_id)


def customers(
    system: System,
    *,
    text: str | None = None,
    limit: int,
    before: UUID | None = None,
    among: Collection[UUID] | None = None,
) -> Sequence[Customer]:
    """Newest first; `among` these and no others."""
    return reads.customers(system.engine, text=text, limit=limit, before=before, among=among)


def workflow_state(system: System, bill_id: UUID) -> WorkflowState:
    """What the bill's workflow itself says. Raises WorkflowsUnavailable when it says nothing."""
    return system.workflows.state(bill_id)


def current_rates(system: System) -> RatesInUse:
    return system.rates.current()


def quarantined_rates(system: System) -> Quarantined | None:
    """Rates that await an admin's decision."""
    return stored_rates.quarantined(system.engine)


def rate_attempts(system: System, *, limit: int) -> Sequence[Attempt]:
    """How fetching rates went, newest first."""
    return stored_rates.attempts(system.engine, limit=limit)
