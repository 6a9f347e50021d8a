"""A bill as a document: everything that its page for the customer, its PDF and its CSV say of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.bill import Bill, LineItem, Seller
from billing.ledger import documents
from billing.ledger.documents import DocumentedBill
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

    @property
    def rates(self) -> RatesInUse:
        return self.totals.rates

    @property
    def conversion(self) -> Conversion:
        return self.totals.conversion

    @property
    def title(self) -> str:
        return f"Bill No. {self.bill.number}" if self.bill.number else "Open bill"

    @property
    def customer_name(self) -> str:
        return self.bill.customer.name or self.bill.customer.external_id

    @property
    def standing(self) -> str:
        """accruing, closing (nothing is added any more) or closed."""
        if self.bill.is_closed:
            return "closed"
        return "accruing" if self.bill.is_open and self.now < self.bill.period.end else "closing"

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
        snapshot = self.rates.snapshot.id if self.rates.snapshot else "none"
        names = zlib.crc32(repr((self.seller, self.bill.customer)).encode())
        parts = (self.bill.version, snapshot, self.rates.stale, self.standing, self.conversion.to.code, names)
        return "~".join(str(part) for part in parts)

    @property
    def file_name(self) -> str:
        """Without an ending."""
        return f"bill-{self.bill.number}" if self.bill.number else f"open-bill-{self.bill.id}"


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
    found = documents.read(system.engine, bill_id, after=after, limit=limit)
    return Document(
        bill=found.bill,
        seller=found.seller,
        lines=_lines(found, fresh_after),
        totals=shown_totals(system, found.bill, _offered(system, found.bill, currency)),
        now=found.now,
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
