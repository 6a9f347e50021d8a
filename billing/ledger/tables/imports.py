"""Files of line items: what came, how far each is, and what became of every row."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import Base, Instant

UNFINISHED = text("state IN ('waiting', 'running')")


class ImportRow(Base):
    """A file that somebody sent, and how far it is: rows are taken in the order of their bills, then of their numbers,
    and those up to (`after_bill_id`, `after_number`) are done.

    `bill_id`: that of all rows, NULL where each names its own. `customer_ids`: those that the caller's key was bound
    to, NULL for none in particular. A `draft` was looked at and waits to be confirmed.
    """

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint("state IN ('draft', 'waiting', 'running', 'done', 'cancelled')", name="state_known"),
        CheckConstraint("format IN ('csv', 'ndjson')", name="format_known"),
        CheckConstraint("actor_kind IN ('user', 'api_key', 'workflow', 'system')", name="actor_kind_known"),
        CheckConstraint("length(digest) = 32", name="digest_length"),
        CheckConstraint("added + replayed + rejected <= rows", name="no_more_than_rows"),
        CheckConstraint("state <> 'done' OR added + replayed + rejected = rows", name="done_with_all_rows"),
        CheckConstraint("(state IN ('done', 'cancelled')) = (finished_at IS NOT NULL)", name="finished_in_the_end"),
        Index("ix_imports_account_id_id", "account_id", "id"),
        Index("ix_imports_bill_id_id", "bill_id", "id"),
        Index("ix_imports_unfinished", "account_id", postgresql_where=UNFINISHED),
        Index("ix_imports_kept", "created_at", postgresql_where=text("rows_dropped_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    bill_id: Mapped[UUID | None]
    customer_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    format: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(Integer)
    added: Mapped[int] = mapped_column(Integer, server_default="0")
    replayed: Mapped[int] = mapped_column(Integer, server_default="0")
    rejected: Mapped[int] = mapped_column(Integer)
    after_bill_id: Mapped[UUID] = mapped_column(server_default="00000000-0000-0000-0000-000000000000")
    after_number: Mapped[int] = mapped_column(Integer, server_default="0")
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    rows_dropped_at: Mapped[datetime | None] = mapped_column(Instant)


class ImportedRow(Base):
    """A row of such a file, `number` from 1, `line` where it begins in the file. One that can't be right has no
    fingerprint, is rejected from the start, and keeps how it began in `given`; the others have an outcome once they
    were decided, in the transaction that decided."""

    __tablename__ = "import_rows"
    __table_args__ = (
        CheckConstraint("outcome IN ('added', 'replayed', 'rejected')", name="outcome_known"),
        CheckConstraint("(outcome IN ('added', 'replayed')) = (item_id IS NOT NULL)", name="item_of_its_outcome"),
        CheckConstraint("(outcome = 'rejected') = (reason IS NOT NULL)", name="reason_of_its_outcome"),
        CheckConstraint("fingerprint IS NOT NULL OR outcome = 'rejected'", name="right_or_rejected"),
        Index(
            "ix_import_rows_by_bill",
            "import_id",
            "bill_id",
            "number",
            postgresql_where=text("fingerprint IS NOT NULL"),
        ),
    )

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(Integer)
    bill_id: Mapped[UUID | None]
    key: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    quantity: Mapped[Decimal | None] = mapped_column(Numeric)
    unit_price: Mapped[Decimal | None] = mapped_column(Numeric)
    total: Mapped[Decimal | None] = mapped_column(Numeric)
    currency: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    given: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    item_bill_id: Mapped[UUID | None]
    item_id: Mapped[UUID | None]
    code: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    field: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str | None] = mapped_column(Text)
