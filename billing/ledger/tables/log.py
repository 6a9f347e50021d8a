"""What was asked and what happened: events, idempotency keys, references, stored requests."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from billing.ledger.base import NOW, Base, Instant


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


# Most events are of one type, and are found without an index of types.
RARE = "type <> 'line_items.added'"


class EventRow(Base):
    """The log of every change: audit, live pages, signals. Read in order of (xid, seq), never of seq alone."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(
            "subject_type IN ('bill', 'customer', 'rates', 'seller', 'link', 'user', 'api_key', 'settings',"
            " 'webhook_endpoint', 'import')",
            name="subject_type_known",
        ),
        CheckConstraint("actor_kind IN ('user', 'api_key', 'workflow', 'system')", name="actor_kind_known"),
        Index("ix_events_xid_seq", "xid", "seq"),
        Index("ix_events_occurred_at_seq", "occurred_at", "seq"),
        Index("ix_events_actor_name_occurred_at_seq", "actor_name", "occurred_at", "seq"),
        Index("ix_events_type_occurred_at_seq", "type", "occurred_at", "seq", postgresql_where=text(RARE)),
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


class ReferenceRow(Base):
    """What an item is in the system it comes from; never given free again. Not a bill's but its customer's, so that the
    same thing isn't charged on two bills."""

    __tablename__ = "line_item_references"
    __table_args__ = (
        CheckConstraint("length(source) BETWEEN 1 AND 100", name="source_length"),
        CheckConstraint("length(reference) BETWEEN 1 AND 255", name="reference_length"),
        CheckConstraint("length(fingerprint) = 32", name="fingerprint_length"),
    )

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    reference: Mapped[str] = mapped_column(Text, primary_key=True)
    bill_id: Mapped[UUID]
    item_id: Mapped[UUID]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)


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
    source: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
