"""Customers, bills, their subtotals and their lines. Constraints refuse what the rules refuse.

Items begin their keys with the bill's id, so that the table can be partitioned by bill without a change of code.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, ROOM_FOR_UPDATES, Base, Instant
from billing.ledger.tables.settings import LogoRow

# The UTC months in which a bill's period begins and ends: what an index finds the bills of a span of time by.
BEGIN_MONTH = "date_trunc('month', (period_start AT TIME ZONE 'UTC'))"
END_MONTH = "date_trunc('month', (period_end AT TIME ZONE 'UTC'))"


class CustomerRow(Base):
    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint("length(external_id) BETWEEN 1 AND 255", name="external_id_length"),
        CheckConstraint("version >= 1", name="version_positive"),
        Index(
            "ix_customers_search",
            text("(external_id || ' ' || name) gin_trgm_ops"),
            postgresql_using="gin",
        ),
        # Orders of the list of bills; billing/ledger/bill_list.py has the same expressions.
        Index("ix_customers_list_order", text("lower(coalesce(nullif(name, ''), external_id))"), "id"),
        Index("ix_customers_email", "email", postgresql_using="gin", postgresql_ops={"email": "gin_trgm_ops"}),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, server_default="")
    email: Mapped[str] = mapped_column(Text, server_default="")
    billing_address: Mapped[str] = mapped_column(Text, server_default="")
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class BillRow(Base):
    __tablename__ = "bills"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'closing', 'closed')", name="status_known"),
        CheckConstraint("period_end > period_start", name="period_forward"),
        CheckConstraint("period_end - period_start <= interval '366 days'", name="period_within_366_days"),
        CheckConstraint("version >= 1 AND item_count >= 0", name="counts"),
        CheckConstraint("close_reason IN ('manual', 'period_end')", name="close_reason_known"),
        CheckConstraint("status <> 'open' OR close_requested_at IS NULL", name="open_without_wish"),
        CheckConstraint("status <> 'closing' OR close_requested_at IS NOT NULL", name="closing_with_wish"),
        CheckConstraint(
            "(status = 'closed') = (closed_at IS NOT NULL) AND (status = 'closed') = (effective_at IS NOT NULL)"
            " AND (status = 'closed') = (close_reason IS NOT NULL) AND (status = 'closed') = (number IS NOT NULL)",
            name="closed_whole",
        ),
        CheckConstraint("closed_at >= effective_at", name="closed_after_effective"),
        Index("ix_bills_due", "period_end", "id", postgresql_where=text("status = 'open'")),
        Index("ix_bills_closing", "id", postgresql_where=text("status = 'closing'")),
        Index("ix_bills_customer_id_id", "customer_id", "id"),
        Index("ix_bills_status_id", "status", "id"),
        Index("ix_bills_period_end_id", "period_end", "id"),
        Index("ix_bills_months_id", text(f"({BEGIN_MONTH})"), text(f"({END_MONTH})"), "id"),
        Index("ix_bills_number_or_zero", text("coalesce(number, 0)"), "id"),
        Index("ix_bills_number_or_highest", text("coalesce(number, 9223372036854775807)"), "id"),
        ROOM_FOR_UPDATES,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"))
    status: Mapped[str] = mapped_column(Text, server_default="open")
    period_start: Mapped[datetime] = mapped_column(Instant)
    period_end: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    item_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    close_requested_at: Mapped[datetime | None] = mapped_column(Instant)
    effective_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    close_reason: Mapped[str | None] = mapped_column(Text)
    number: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    rate_snapshot_id: Mapped[UUID | None] = mapped_column(ForeignKey("rate_snapshots.id"))
    billed_customer: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    seller: Mapped[dict[str, str | None] | None] = mapped_column(JSONB)


class SubtotalRow(Base):
    """The exact sum of a bill's lines in one currency; once closed, what is to be paid of it."""

    __tablename__ = "bill_subtotals"
    __table_args__ = (
        # NaN is greater than every number and Infinity than this bound, so both are refused.
        CheckConstraint("subtotal BETWEEN -1e30 AND 1e30", name="subtotal_bounded"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        CheckConstraint(
            "num_nulls(payable, rounding, minor_units) IN (0, 3)"
            " AND (payable IS NULL OR (payable = round(subtotal, minor_units) AND rounding = payable - subtotal))",
            name="payable_is_the_rounded_subtotal",
        ),
        Index("ix_bill_subtotals_currency_bill_id", "currency", "bill_id"),
        ROOM_FOR_UPDATES,
    )

    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    subtotal: Mapped[Decimal] = mapped_column(Numeric)
    payable: Mapped[Decimal | None] = mapped_column(Numeric)
    rounding: Mapped[Decimal | None] = mapped_column(Numeric)
    minor_units: Mapped[int | None] = mapped_column(SmallInteger)


class LineItemRow(Base):
    __tablename__ = "line_items"
    __table_args__ = (
        UniqueConstraint("bill_id", "id"),
        Index(
            "uq_line_items_bill_id_reverses",
            "bill_id",
            "reverses",
            unique=True,
            postgresql_where=text("reverses IS NOT NULL"),
        ),
        ForeignKeyConstraint(
            ["bill_id", "reverses"], ["line_items.bill_id", "line_items.id"], name="fk_line_items_reverses"
        ),
        CheckConstraint("position >= 1 AND added_in_version >= 2", name="counts"),
        CheckConstraint("length(description) BETWEEN 1 AND 500", name="description_length"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        CheckConstraint("(reverses IS NOT NULL) = (quantity < 0)", name="negative_when_reversing"),
        CheckConstraint("(reverses IS NOT NULL) = (reason IS NOT NULL)", name="reason_when_reversing"),
        CheckConstraint(
            "quantity <> 0 AND quantity BETWEEN -1e12 AND 1e12 AND scale(trim_scale(quantity)) <= 6",
            name="quantity_bounded",
        ),
        CheckConstraint(
            "unit_price BETWEEN 0 AND 1e12 AND scale(trim_scale(unit_price)) <= 12", name="unit_price_bounded"
        ),
        CheckConstraint("total = quantity * unit_price AND total BETWEEN -1e15 AND 1e15", name="total_is_exact"),
    )

    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID]
    description: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[Decimal] = mapped_column(Numeric)
    unit_price: Mapped[Decimal] = mapped_column(Numeric)
    total: Mapped[Decimal] = mapped_column(Numeric)
    created_at: Mapped[datetime] = mapped_column(Instant)
    added_in_version: Mapped[int] = mapped_column(BigInteger)
    reverses: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(Text)
    # As line_item_references has them, whose constraints they obey: one more here would cost every item.
    source: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)


class CounterRow(Base):
    """Bill numbers: without gaps, so a row and not a sequence."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    last_value: Mapped[int] = mapped_column(BigInteger)


class SellerRow(Base):
    """Who sends the bills; one row."""

    __tablename__ = "seller"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, server_default="")
    address: Mapped[str] = mapped_column(Text, server_default="")
    tax_id: Mapped[str] = mapped_column(Text, server_default="")
    logo: Mapped[str | None] = mapped_column(ForeignKey(LogoRow.hash))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
