"""The tables of the ledger. CHECK and unique constraints refuse what the rules refuse.

Items, events and keys begin their primary and unique keys with the bill's id, so that the tables
can be partitioned by bill without a change of code.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from billing.ledger.base import Base

Instant = DateTime(timezone=True)
NOW = text("clock_timestamp()")
# Rows that are updated with every accepted item leave room, so that updates stay on their page.
ROOM_FOR_UPDATES = {"postgresql_with": {"fillfactor": "70"}}


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


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
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, server_default="")
    email: Mapped[str] = mapped_column(Text, server_default="")
    billing_address: Mapped[str] = mapped_column(Text, server_default="")
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class RateSnapshotRow(Base):
    """One delivery of a rates provider, immutable but for its acceptance."""

    __tablename__ = "rate_snapshots"
    __table_args__ = (
        CheckConstraint("state IN ('accepted', 'quarantined', 'dropped')", name="state_known"),
        CheckConstraint("(state = 'accepted') = (accepted_at IS NOT NULL)", name="accepted_at_when_accepted"),
        CheckConstraint("accepted_at >= fetched_at", name="accepted_after_fetched"),
        CheckConstraint("base ~ '^[A-Z]{3}$'", name="base_code"),
        Index(
            "ix_rate_snapshots_accepted",
            "sample",
            text("accepted_at DESC"),
            postgresql_where=text("state = 'accepted'"),
        ),
        Index(
            "uq_rate_snapshots_one_quarantined",
            "state",
            unique=True,
            postgresql_where=text("state = 'quarantined'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(Text)
    base: Mapped[str] = mapped_column(String(3))
    provider_time: Mapped[datetime] = mapped_column(Instant)
    fetched_at: Mapped[datetime] = mapped_column(Instant)
    rates: Mapped[dict[str, str]] = mapped_column(JSONB)
    sample: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(Text)
    accepted_at: Mapped[datetime | None] = mapped_column(Instant)
    agreeing_fetches: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)


class RateRefreshRow(Base):
    """One attempt to fetch rates, and how it ended."""

    __tablename__ = "rate_refreshes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    attempted_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW, index=True)
    outcome: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text, server_default="")
    retry_at: Mapped[datetime | None] = mapped_column(Instant)


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
    seller: Mapped[dict[str, str] | None] = mapped_column(JSONB)


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


class IdempotencyKeyRow(Base):
    """A key whose request succeeded. `scope_id` is the bill, or the account where there is no bill yet."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 300", name="key_length"),
        CheckConstraint("length(fingerprint) = 32", name="fingerprint_length"),
    )

    scope_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    result_id: Mapped[UUID | None]
    outcomes: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class EventRow(Base):
    """The log of every change: audit, live pages, signals. Read in order of (xid, seq), never of seq alone."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint("subject_type IN ('bill', 'customer', 'rates')", name="subject_type_known"),
        CheckConstraint("actor_kind IN ('user', 'api_key', 'workflow', 'system')", name="actor_kind_known"),
        Index("ix_events_xid_seq", "xid", "seq"),
    )

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    subject_type: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))


class LineItemRequestRow(Base):
    """An item somebody asked for without waiting; the bill's workflow carries it out."""

    __tablename__ = "line_item_requests"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'added', 'rejected')", name="state_known"),
        CheckConstraint("(state = 'rejected') = (error IS NOT NULL)", name="error_when_rejected"),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_unless_pending"),
        Index(
            "uq_line_item_requests_key",
            "bill_id",
            "account_id",
            "key",
            unique=True,
            postgresql_where=text("key IS NOT NULL"),
        ),
        Index("ix_line_item_requests_pending", "created_at", postgresql_where=text("state = 'pending'")),
    )

    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    key: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    quantity: Mapped[Decimal] = mapped_column(Numeric)
    unit_price: Mapped[Decimal] = mapped_column(Numeric)
    total: Mapped[Decimal] = mapped_column(Numeric)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(Text, server_default="pending")
    item_id: Mapped[UUID | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)


class BillWorkflowRow(Base):
    """What a bill's workflow has heard: narrow, and apart from the bill's row, which adders lock."""

    __tablename__ = "bill_workflows"
    __table_args__ = (
        Index("ix_bill_workflows_unfinished", "bill_id", postgresql_where=text("finished_at IS NULL")),
        ROOM_FOR_UPDATES,
    )

    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"), primary_key=True)
    heard_version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    heard_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class WorkerHeartbeatRow(Base):
    """A worker process that lives: it says so every few seconds."""

    __tablename__ = "worker_heartbeats"

    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(Instant)


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
