"""What was added to a bill since somebody looked at it, for those who follow it: read in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from billing.bill import Bill, LineItem, Seller
from billing.errors import BillNotFound
from billing.ledger import database
from billing.ledger.events import Event, event_of
from billing.ledger.rows import bill_of, line_item_of
from billing.ledger.standings import names_word
from billing.origin import Actor

_BILL = "SELECT * FROM bills WHERE id = %s"
_CUSTOMER = "SELECT c.* FROM customers c JOIN bills b ON b.customer_id = c.id WHERE b.id = %s"
_SUBTOTALS = "SELECT currency, subtotal FROM bill_subtotals WHERE bill_id = %s ORDER BY currency"
_ITEMS = """
    SELECT bill_id, id, position, description, currency, quantity, unit_price, total, created_at, added_in_version,
           reverses, reason, source, reference
    FROM line_items WHERE bill_id = %s AND position > %s ORDER BY position DESC LIMIT %s
"""
_EVENTS = """
    SELECT *, xid::text::bigint AS xid_number FROM events
    WHERE subject_id = %s AND version > %s ORDER BY version DESC LIMIT %s
"""
_LINKS = "SELECT count(*) + count(revoked_at) AS links FROM share_links WHERE bill_id = %s"
_SELLER = "SELECT name, address, tax_id, logo, version, billing_now() AS now FROM seller"


@dataclass(frozen=True, slots=True)
class Additions:
    """`items` and `events`: the newest of those that are new, newest first. `links` as standings count them; `seller`
    as it is now, and `names` what stands for it and the customer."""

    bill: Bill
    items: Sequence[LineItem]
    events: Sequence[Event]
    links: int
    seller: Seller
    names: str
    now: datetime

    @property
    def authors(self) -> Mapping[int, Actor]:
        """By the version that their adding made."""
        return {event.version: event.actor for event in self.events}

    @property
    def is_all(self) -> bool:
        """Whether nothing but additions happened: lines that were there are as they were."""
        return not self.bill.is_closed and all(item.reverses is None for item in self.items)


def additions(engine: Engine, bill_id: UUID, *, items: int, version: int, most: int) -> Additions:
    """To who knew so many items, and the bill as of that version. Raises BillNotFound, Unavailable."""
    bill, customer, subtotals, lines, events, links, seller = database.rows_at_once(
        engine,
        (
            (_BILL, (bill_id,)),
            (_CUSTOMER, (bill_id,)),
            (_SUBTOTALS, (bill_id,)),
            (_ITEMS, (bill_id, items, most)),
            (_EVENTS, (bill_id, version, most)),
            (_LINKS, (bill_id,)),
            (_SELLER, ()),
        ),
    )
    if not bill:
        raise BillNotFound
    (of,) = seller
    found = bill_of(bill[0], customer[0], ((row.currency, row.subtotal) for row in subtotals))
    return Additions(
        found,
        [line_item_of(row) for row in lines],
        [event_of(row) for row in events],
        links[0].links,
        Seller(of.name, of.address, of.tax_id, of.logo),
        names_word(customer[0].version, of.version),
        found.by_its_clock(of.now),
    )
