"""A customer with its newest bills, and what all of them come to in each currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, Engine, select, text

from billing import money
from billing.bill import Bill, BillStatus, Customer
from billing.errors import CustomerNotFound
from billing.ledger.database import snapshot
from billing.ledger.reads import newest_of_customer
from billing.ledger.rows import customer_of
from billing.ledger.tables.bills import CustomerRow

_CUSTOMERS = CustomerRow.__table__


@dataclass(frozen=True, slots=True)
class CustomerTotal:
    """One currency: what has accrued on bills that aren't closed, exact; what closed ones stored as payable.

    None where there is no such bill in this currency.
    """

    currency: str
    accruing: Decimal | None
    payable: Decimal | None


@dataclass(frozen=True, slots=True)
class CustomerWithBills:
    """`bills` are the newest; `counts` and `totals` are of all there are."""

    customer: Customer
    bills: Sequence[Bill]
    counts: Mapping[BillStatus, int]
    totals: Sequence[CustomerTotal]

    @property
    def bill_count(self) -> int:
        return sum(self.counts.values())


def customer_with_bills(engine: Engine, customer_id: UUID, *, bills: int) -> CustomerWithBills:
    """All of it at one instant. Raises CustomerNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(select(_CUSTOMERS).where(_CUSTOMERS.c.id == customer_id)).one_or_none()
        if row is None:
            raise CustomerNotFound
        return CustomerWithBills(
            customer_of(row),
            newest_of_customer(connection, customer_id, limit=bills),
            _counts(connection, customer_id),
            _totals(connection, customer_id),
        )


def _counts(connection: Connection, customer_id: UUID) -> Mapping[BillStatus, int]:
    counted = text("SELECT status, count(*) AS bills FROM bills WHERE customer_id = :id GROUP BY status")
    found = {row.status: row.bills for row in connection.execute(counted, {"id": customer_id})}
    return {status: found.get(status, 0) for status in BillStatus}


# Sums of exact figures and of payables that were rounded when their bills closed: nothing is rounded here.
_TOTALS = text(
    """
    SELECT s.currency, sum(s.subtotal) FILTER (WHERE b.status <> 'closed') AS accruing,
           sum(s.payable) FILTER (WHERE b.status = 'closed') AS payable
    FROM bills b JOIN bill_subtotals s ON s.bill_id = b.id
    WHERE b.customer_id = :id GROUP BY s.currency ORDER BY s.currency
    """
)


def _totals(connection: Connection, customer_id: UUID) -> Sequence[CustomerTotal]:
    rows = connection.execute(_TOTALS, {"id": customer_id})
    return [CustomerTotal(row.currency, _exact(row.accruing), row.payable) for row in rows]


def _exact(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else money.without_trailing_zeros(amount)
