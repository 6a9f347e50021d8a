"""How bills stand, in the fewest words: enough to know that one changed, read many times a second."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import Engine

from billing.bill import BillStatus
from billing.ledger import database, modes
from billing.ledger.rows import Row

_STANDINGS: LiteralString = """
    SELECT b.id, b.version, b.status, {end} AS period_end, b.item_count, c.version AS customer,
           seller.version AS seller, (
        SELECT s.id FROM rate_snapshots s
        WHERE s.state = 'accepted' AND s.sample = %s AND s.accepted_at <= billing_now() - interval '1500 ms'
        ORDER BY s.accepted_at DESC, s.id DESC LIMIT 1
    ) AS rates, (
        SELECT count(*) + count(l.revoked_at) FROM share_links l WHERE l.bill_id = b.id
    ) AS links
    FROM bills b JOIN customers c ON c.id = b.customer_id CROSS JOIN seller WHERE b.id = ANY(%s)
"""


# When the period of a test bill ends, by everybody's clock.
_OF_MODE: Mapping[bool, LiteralString] = {
    False: _STANDINGS.replace("{end}", "b.period_end"),
    True: _STANDINGS.replace("{end}", "b.period_end - b.clock_ahead"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A bill's version, and the rates that every process is sure to use: those accepted more than a moment ago,
    as each process keeps the current ones for a second. `links`: how many were made and revoked, together. `names`
    stands for what an open bill says of its customer and its seller."""

    version: int
    status: str
    period_end: datetime
    rates: UUID | None
    links: int
    items: int = 0
    names: str = ""

    @property
    def changes(self) -> int:
        """Only grows: of two standings of a bill, the one that has more is the later."""
        return self.version + self.links

    @property
    def is_closed(self) -> bool:
        return self.status == BillStatus.CLOSED


def standings(engine: Engine, bill_ids: Collection[UUID], *, samples: bool) -> Mapping[UUID, Standing]:
    """Of those bills that exist, in one round trip. `samples`: as for `rates.current`."""
    found = database.rows(engine, _OF_MODE[modes.is_test(engine)], (samples, list(bill_ids)))
    return {row.id: _standing_of(row) for row in found}


def _standing_of(row: Row) -> Standing:
    names = names_word(row.customer, row.seller)
    return Standing(row.version, row.status, row.period_end, row.rates, row.links, row.item_count, names)


def names_word(customer_version: int, seller_version: int) -> str:
    return f"{customer_version}.{seller_version}"
