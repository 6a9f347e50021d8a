"""The bill and its line items: every rule about one, every total of one.

Values are immutable. What is accepted into a bill, and in which order, the ledger decides in
Postgres; these are the values that go in and come out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from billing import money
from billing.errors import UnsupportedCurrency
from billing.origin import fingerprint
from billing.period import Period
from billing.text import parse_text

LONGEST_DESCRIPTION = 500
LONGEST_REASON = 500
LONGEST_CUSTOMER_ID = 255
LONGEST_SOURCE = 100
LONGEST_REFERENCE = 255
MOST_ITEMS_IN_A_CALL = 1_000
RECENT_ITEMS = 100
TEST_NUMBER = "TEST-"


class BillStatus(StrEnum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class CloseReason(StrEnum):
    MANUAL = "manual"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class LineItemDraft:
    """A line item that could be on a bill: every value checked and normalised, the total exact.

    `source` and `reference`, both or neither, name it in the system it comes from: a customer is charged for it once.
    """

    description: str
    quantity: Decimal
    unit_price: Decimal
    total: Decimal
    currency: str
    source: str | None = None
    reference: str | None = None

    @classmethod
    def parse(
        cls,
        description: object,
        quantity: object,
        unit_price: object,
        currency: object,
        source: object = None,
        reference: object = None,
        *,
        offered: Collection[str],
    ) -> LineItemDraft:
        """Raises InvalidArgument naming the first field that can't be right."""
        text = parse_text(description, "description", longest=LONGEST_DESCRIPTION)
        parsed_quantity = money.parse_quantity(quantity)
        parsed_price = money.parse_unit_price(unit_price)
        if not isinstance(currency, str) or currency not in offered:
            raise UnsupportedCurrency(field="currency")
        total = money.line_total(parsed_quantity, parsed_price)
        code = money.currency(currency).code
        return cls(text, parsed_quantity, parsed_price, total, code, *_parse_reference(source, reference))

    @property
    def source_and_reference(self) -> tuple[str, str] | None:
        return None if self.source is None or self.reference is None else (self.source, self.reference)

    def fingerprint(self) -> bytes:
        values = (self.description, money.plain(self.quantity), money.plain(self.unit_price), self.currency)
        # Those of items without a reference are as they were before there were any.
        return fingerprint(*values) if self.reference is None else fingerprint(*values, self.source, self.reference)


def _parse_reference(source: object, reference: object) -> tuple[str | None, str | None]:
    if source is None and reference is None:
        return None, None
    return (
        parse_text(source, "source", longest=LONGEST_SOURCE),
        parse_text(reference, "reference", longest=LONGEST_REFERENCE),
    )


@dataclass(frozen=True, slots=True)
class LineItem:
    """A line on a bill, as stored, for ever.

    `position` counts from 1 without gaps in the order of acceptance; `added_in_version` is the bill's
    version that its adding made. A reversing item names the item it takes back in `reverses` and
    says why in `reason`. `source` and `reference` are as its draft had them.
    """

    bill_id: UUID
    id: UUID
    position: int
    description: str
    currency: str
    quantity: Decimal
    unit_price: Decimal
    total: Decimal
    created_at: datetime
    added_in_version: int
    reverses: UUID | None = None
    reason: str | None = None
    source: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """`external_id` is the caller's own name for the customer; `id` is ours."""

    id: UUID
    external_id: str
    name: str
    email: str
    billing_address: str
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BilledCustomer:
    """The customer as a bill shows it: as of now while open, as of the closing from then on."""

    id: UUID
    external_id: str
    name: str
    billing_address: str


@dataclass(frozen=True, slots=True)
class Seller:
    """`logo` is the hash of a stored picture."""

    name: str
    address: str
    tax_id: str
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill without its items.

    `subtotals` are exact sums per currency code, sorted by code. `effective_at` is the cut-off: the
    instant from which nothing was accepted; `closed_at` is when the closing ran. `closed_payables` are what the
    closing stored: currencies may change their minor units later, a closed bill may not. `clock_ahead` is how far a
    test bill's own clock has been advanced; a live one has none.
    """

    id: UUID
    customer: BilledCustomer
    status: BillStatus
    period: Period
    version: int
    item_count: int
    subtotals: tuple[tuple[str, Decimal], ...]
    created_at: datetime
    updated_at: datetime
    close_requested_at: datetime | None = None
    effective_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: CloseReason | None = None
    number: int | None = None
    rate_snapshot_id: UUID | None = None
    seller: Seller | None = None
    closed_payables: tuple[money.Payable, ...] = ()
    clock_ahead: timedelta | None = None

    @property
    def test(self) -> bool:
        """Made with a test key: not an invoice, and never one."""
        return self.clock_ahead is not None

    @property
    def printed_number(self) -> str | None:
        """As people read it: nobody takes a test bill's for an invoice's."""
        return None if self.number is None else f"{TEST_NUMBER if self.test else ''}{self.number}"

    def by_its_clock(self, instant: datetime) -> datetime:
        """What time it is for the bill when it is that by everybody's clock."""
        return instant + (self.clock_ahead or timedelta(0))

    @property
    def due_at(self) -> datetime:
        """When its period ends by everybody's clock."""
        return self.by_everybodys_clock(self.period.end)

    def by_everybodys_clock(self, instant: datetime) -> datetime:
        """The reverse of `by_its_clock`."""
        return instant - (self.clock_ahead or timedelta(0))

    @property
    def workflow_id(self) -> str:
        return f"bill-{self.id}"

    @property
    def is_open(self) -> bool:
        return self.status is BillStatus.OPEN

    @property
    def is_closed(self) -> bool:
        return self.status is BillStatus.CLOSED

    @property
    def payables(self) -> tuple[money.Payable, ...]:
        """What is to be paid per currency, in the order of the subtotals; once closed, what the closing stored."""
        if self.is_closed:
            return self.closed_payables
        return tuple(money.payable(amount, money.currency(code)) for code, amount in self.subtotals)

    @property
    def currencies(self) -> tuple[str, ...]:
        return tuple(code for code, _ in self.subtotals)
