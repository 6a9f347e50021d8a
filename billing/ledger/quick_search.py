"""A few bills and customers for what somebody has typed so far: bounded, whatever it is and however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.bill import TEST_NUMBER, Bill, Customer
from billing.ledger import modes
from billing.ledger.database import snapshot
from billing.ledger.reads import bills_by_id
from billing.ledger.rows import customer_of

MOST_OF_A_KIND = 6
BILLS_OF_A_CUSTOMER = 3
# Shorter words have no trigram: no index finds them inside a name.
SHORTEST_INDEXED = 3
NEWEST_LOOKED_AT = 2_000
LONGEST_NUMBER = 12


@dataclass(frozen=True, slots=True)
class QuickFinds:
    bills: Sequence[Bill]
    customers: Sequence[Customer]


def find(engine: Engine, words: str) -> QuickFinds:
    """Bills by number (as far as it was typed), by id, by customer; customers by a part of their name or id.

    Of a frequent or very short word some newer ones are found, not the best of all. Without words: the newest bills.
    """
    with snapshot(engine) as connection:
        if not words:
            newest = connection.execute(_NEWEST, {"limit": MOST_OF_A_KIND}).scalars().all()
            return QuickFinds(_bills(connection, newest), [])
        customers = _customers(connection, words)
        ids = [*_by_id(words), *_by_number(connection, words), *_of_customers(connection, customers)]
        return QuickFinds(_bills(connection, list(dict.fromkeys(ids))[:MOST_OF_A_KIND]), customers)


_NEWEST = text("SELECT id FROM bills ORDER BY id DESC LIMIT :limit")
# Numbers that begin with these digits are ranges, each a look-up in the index.
_NUMBERED = text(
    """
    SELECT b.id FROM generate_series(0, 6) AS more(digits)
    CROSS JOIN LATERAL (
        SELECT id, number FROM bills
        WHERE number >= :number * (10 ^ digits)::bigint AND number < (:number + 1) * (10 ^ digits)::bigint
        ORDER BY number LIMIT :limit
    ) AS b
    ORDER BY b.number LIMIT :limit
    """
)
_NAMED_AMONG_ALL = text(
    """
    WITH found AS MATERIALIZED (
        SELECT * FROM customers WHERE (external_id || ' ' || name) ILIKE :pattern LIMIT 200)
    SELECT * FROM found ORDER BY id DESC LIMIT :limit
    """
)
_NAMED_AMONG_NEWEST = text(
    """
    SELECT * FROM (SELECT * FROM customers ORDER BY id DESC LIMIT :newest) AS newest
    WHERE (external_id || ' ' || name) ILIKE :pattern ORDER BY id DESC LIMIT :limit
    """
)
_OF_CUSTOMERS = text(
    """
    SELECT b.id FROM unnest(CAST(:customers AS uuid[])) WITH ORDINALITY AS c(id, n)
    CROSS JOIN LATERAL (SELECT id FROM bills WHERE customer_id = c.id ORDER BY id DESC LIMIT :each) AS b
    ORDER BY c.n, b.id DESC
    """
)


def _customers(connection: Connection, words: str) -> Sequence[Customer]:
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    values = {"pattern": f"%{escaped}%", "limit": MOST_OF_A_KIND, "newest": NEWEST_LOOKED_AT}
    query = _NAMED_AMONG_ALL if len(words) >= SHORTEST_INDEXED else _NAMED_AMONG_NEWEST
    return [customer_of(row) for row in connection.execute(query, values)]


def _by_id(words: str) -> list[UUID]:
    try:
        return [UUID(words.removeprefix("bill-"))]
    except ValueError:
        return []


def _by_number(connection: Connection, words: str) -> Sequence[UUID]:
    digits = words.lower().removeprefix("no.").removeprefix("#").strip()
    if modes.is_test(connection):
        digits = digits.removeprefix(TEST_NUMBER.lower())
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER) or int(digits) == 0:
        return []
    return connection.execute(_NUMBERED, {"number": int(digits), "limit": MOST_OF_A_KIND}).scalars().all()


def _of_customers(connection: Connection, customers: Sequence[Customer]) -> Sequence[UUID]:
    ids = [customer.id for customer in customers]
    return connection.execute(_OF_CUSTOMERS, {"customers": ids, "each": BILLS_OF_A_CUSTOMER}).scalars().all()


def _bills(connection: Connection, ids: Sequence[UUID]) -> list[Bill]:
    """Those that exist, in the order found."""
    found = {bill.id: bill for bill in bills_by_id(connection, ids)}
    return [found[bill_id] for bill_id in ids if bill_id in found]
