"""A bill as a document: everything that its page for the customer, its PDF and its CSV say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.bill import Bill, BillStatus, LineItem, Seller
from billing.ledger import documents
from billing.ledger.documents import DocumentedBill
from billing.ledger.standings import Standing
from billing.rates import Conversion
from webapp.pages.shown import ShownTotals, shown_totals
from webapp.rates import RatesInUse
from webapp.system import System


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """`counterpart` is the position of the line that took this one back, or that this one takes back."""

    item: LineItem
    counterpart: int | None
    fresh: bool = False

    @property
    def is_reversal(self) -> bool:
        return self.item.reverses is not None

    @property
    def is_reversed(self) -> bool:
        return self.counterpart is not None and not self.is_reversal


@dataclass(frozen=True, slots=True)
class Document:
    """`now` decides whether an open bill still accrues; nothing else here depends on when it is read."""

    bill: Bill
    seller: Seller
    lines: Sequence[DocumentLine]
    totals: ShownTotals
    now: datetime
    names: str

    @property
    def rates(self) -> RatesInUse:
        return self.totals.rates

    @property
    def conversion(self) -> Conversion:
        return self.totals.conversion

    @property
    def title(self) -> str:
        if self.bill.test:
            return f"Test bill No. {self.bill.printed_number}" if self.bill.number else "Open test bill"
        return f"Bill No. {self.bill.printed_number}" if self.bill.number else "Open bill"

    @property
    def customer_name(self) -> str:
        return self.bill.customer.name or self.bill.customer.external_id

    @property
    def standing(self) -> str:
        """accruing, closing (nothing is added any more) or closed."""
        return _standing(self.bill.status, self.bill.period.end, self.now)

    @property
    def as_of(self) -> datetime:
        """The instant whose state this is: the closing, or the last change so far."""
        return self.bill.closed_at or self.bill.updated_at

    @property
    def is_converted(self) -> bool:
        """Whether the whole in one currency says more than the amounts do."""
        return self.totals.needs_rates

    @property
    def seen(self) -> str:
        """Stands for everything on an open page that may change by itself."""
        return _seen(self.bill.version, self.rates, self.standing, self.conversion.to.code, self.names)

    @property
    def file_name(self) -> str:
        """Without an ending."""
        start = "test-" if self.bill.test else ""
        return f"{start}bill-{self.bill.number}" if self.bill.number else f"{start}open-bill-{self.bill.id}"


def seen_of(system: System, standing: Standing, currency: str) -> str:
    """`Document.seen` of a bill that isn't closed, known without reading it."""
    rates = system.rates.current()
    state = _standing(standing.status, standing.period_end, rates.as_of)
    return _seen(standing.version, rates, state, currency, standing.names)


def _seen(version: int, rates: RatesInUse, standing: str, currency: str, names: str) -> str:
    snapshot = rates.snapshot.id if rates.snapshot else "none"
    return "~".join(str(part) for part in (version, snapshot, rates.stale, standing, currency, names))


def _standing(status: str, period_end: datetime, now: datetime) -> str:
    if status == BillStatus.CLOSED:
        return "closed"
    return "accruing" if status == BillStatus.OPEN and now < period_end else "closing"


def read(
    system: System,
    bill_id: UUID,
    *,
    currency: str | None = None,
    after: int = 0,
    limit: int,
    fresh_after: int | None = None,
) -> Document:
    """`currency` as somebody asked for it: what isn't offered gives the usual one. Raises BillNotFound."""
    # Before the names themselves: a change in between is one that the page has yet to see.
    names = documents.names_version(system.engine, bill_id)
    found = documents.read(system.engine, bill_id, after=after, limit=limit)
    return Document(
        bill=found.bill,
        seller=found.seller,
        lines=_lines(found, fresh_after),
        totals=shown_totals(system, found.bill, _offered(system, found.bill, currency)),
        now=found.now,
        names=names,
    )


def _offered(system: System, bill: Bill, currency: str | None) -> str | None:
    return currency if currency in {*bill.currencies, *system.supported_currencies} else None


def _lines(found: DocumentedBill, fresh_after: int | None) -> Sequence[DocumentLine]:
    return [
        DocumentLine(
            item, found.counterparts.get(item.id), fresh=fresh_after is not None and item.position > fresh_after
        )
        for item in found.items
    ]
