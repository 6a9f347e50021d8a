"""A bill with lines, shared with its customer."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from billing.bill import Bill, LineItem, LineItemDraft
from billing.ledger import bills, closing, line_items, links
from billing.ledger.links import ShareLink
from billing.origin import Origin
from billing.settings import DEFAULT_CURRENCIES
from webapp.customer.tokens import token_of

Line = tuple[str, str, str, str]
LINES: tuple[Line, ...] = (
    ("Card processing", "6", "0.6", "GEL"),
    ("API calls above the plan", "2418000", "0.00000125", "EUR"),
    ("Custody", "30", "1200", "JPY"),
)


class Sharing:
    """What an integrator and an operator do with one ledger, and where its customers look."""

    def __init__(self, engine: Engine, origin: Origin, secret_key: str) -> None:
        self.engine = engine
        self.origin = origin
        self.secret_key = secret_key

    def add(self, bill: Bill, *lines: Line) -> list[LineItem]:
        drafts = [LineItemDraft.parse(*line, offered=DEFAULT_CURRENCIES) for line in lines]
        return [line_items.add(self.engine, self.origin, bill.id, draft)[1] for draft in drafts]

    def add_many(self, bill: Bill, count: int) -> None:
        """Lines that are told apart by their number."""
        for start in range(1, count + 1, 1_000):
            numbers = range(start, min(start + 1_000, count + 1))
            drafts = [LineItemDraft.parse(f"Fee {n}", "1", "0.25", "USD", offered=DEFAULT_CURRENCIES) for n in numbers]
            line_items.add_all(self.engine, self.origin, bill.id, [line_items.entry(draft, None) for draft in drafts])

    def reverse(self, item: LineItem, reason: str) -> LineItem:
        return line_items.reverse(self.engine, self.origin, item.bill_id, item.id, reason)[1]

    def close(self, bill: Bill) -> None:
        bills.request_close(self.engine, self.origin, bill.id)
        closing.close_bill(self.engine, self.origin, bill.id, samples=True)

    def link(self, bill: Bill) -> ShareLink:
        return links.create(self.engine, self.origin, bill.id)[0]

    def revoke(self, link: ShareLink) -> None:
        links.revoke(self.engine, self.origin, link.bill_id, link.id)

    def address_of(self, link_id: UUID) -> str:
        return f"/b/{token_of(self.secret_key, link_id)}"

    def address(self, bill: Bill) -> str:
        return self.address_of(self.link(bill).id)
