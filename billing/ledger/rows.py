"""From rows to the business's values, in one place."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from billing.bill import Bill, BilledCustomer, BillStatus, CloseReason, Customer, LineItem, Seller
from billing.money import Currency, Payable
from billing.period import Period

# psycopg's and SQLAlchemy's rows are read by attribute; their types say no more than that.
Row: TypeAlias = Any


def customer_of(row: Row) -> Customer:
    return Customer(
        row.id,
        row.external_id,
        row.name,
        row.email,
        row.billing_address,
        row.version,
        row.created_at,
        row.updated_at,
    )


def bill_of(
    row: Row, customer: Row, subtotals: Iterable[tuple[str, Decimal]], closed_payables: Iterable[Payable] = ()
) -> Bill:
    """`customer` is the customer's own row; a closed bill shows the copy it was closed with instead."""
    return Bill(
        id=row.id,
        customer=_billed_customer(row, customer),
        status=BillStatus(row.status),
        period=Period(row.period_start, row.period_end),
        version=row.version,
        item_count=row.item_count,
        subtotals=tuple(subtotals),
        created_at=row.created_at,
        updated_at=row.updated_at,
        close_requested_at=row.close_requested_at,
        effective_at=row.effective_at,
        closed_at=row.closed_at,
        close_reason=CloseReason(row.close_reason) if row.close_reason else None,
        number=row.number,
        rate_snapshot_id=row.rate_snapshot_id,
        seller=Seller(**row.seller) if row.seller else None,
        closed_payables=tuple(closed_payables),
        clock_ahead=getattr(row, "clock_ahead", None),
    )


def _billed_customer(row: Row, customer: Row) -> BilledCustomer:
    kept = row.billed_customer
    if kept:
        return BilledCustomer(row.customer_id, kept["external_id"], kept["name"], kept["billing_address"])
    return BilledCustomer(row.customer_id, customer.external_id, customer.name, customer.billing_address)


def closed_payable_of(row: Row) -> Payable:
    """From a subtotal's row that a closing completed."""
    return Payable(Currency(row.currency, row.minor_units), row.subtotal, row.payable, row.rounding)


def line_item_of(row: Row) -> LineItem:
    return LineItem(
        row.bill_id,
        row.id,
        row.position,
        row.description,
        row.currency,
        row.quantity,
        row.unit_price,
        row.total,
        row.created_at,
        row.added_in_version,
        row.reverses,
        row.reason,
        row.source,
        row.reference,
    )
