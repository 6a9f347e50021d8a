"""What a restore leaves to be known, and what was found to differ."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant

NOBODY = text("'00000000-0000-0000-0000-000000000000'")


class EpochRow(Base):
    """A restored ledger, outranking what workflows heard of the one before. Without a row it is epoch 0.

    Events with a `seq` beyond `after_seq` are of this epoch, or of a later one; it is NULL of epochs that began before
    it was noted. Bill numbers from `numbers_from` to `numbers_to` are set aside: the ledger that is gone may have given
    them.
    """

    __tablename__ = "ledger_epochs"
    __table_args__ = (
        CheckConstraint("epoch >= 1", name="epoch_positive"),
        CheckConstraint("num_nulls(numbers_from, numbers_to) IN (0, 2)", name="numbers_from_and_to"),
        CheckConstraint("numbers_from <= numbers_to", name="numbers_forward"),
    )

    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime] = mapped_column(Instant)
    begun_by: Mapped[str] = mapped_column(Text)
    after_seq: Mapped[int | None] = mapped_column(BigInteger)
    numbers_from: Mapped[int | None] = mapped_column(BigInteger)
    numbers_to: Mapped[int | None] = mapped_column(BigInteger)


class LossRow(Base):
    """A bill of which a workflow had heard more than is stored: what it knew, and what was stored, when an epoch began.

    `stored_version` is None for a bill that the ledger doesn't have at all.
    """

    __tablename__ = "ledger_losses"

    bill_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(ForeignKey("ledger_epochs.epoch"), primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger)
    item_count: Mapped[int] = mapped_column(BigInteger)
    totals: Mapped[dict[str, str]] = mapped_column(JSONB)
    number: Mapped[int | None] = mapped_column(BigInteger)
    stored_version: Mapped[int | None] = mapped_column(BigInteger)
    stored_item_count: Mapped[int] = mapped_column(BigInteger)
    stored_totals: Mapped[dict[str, Any]] = mapped_column(JSONB)


class FindingRow(Base):
    """Something that differs, for as long as it does. `bill_id` is all zeros for the ledger as a whole."""

    __tablename__ = "findings"
    __table_args__ = (
        Index("uq_findings_open", "bill_id", "kind", unique=True, postgresql_where=text("resolved_at IS NULL")),
        Index("ix_findings_open", "id", postgresql_where=text("resolved_at IS NULL")),
        Index("ix_findings_resolved", "resolved_at", "id", postgresql_where=text("resolved_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(server_default=NOBODY)
    kind: Mapped[str] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)
    first_seen: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    last_seen: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)
    repair_asked_at: Mapped[datetime | None] = mapped_column(Instant)
    repair_asked_by: Mapped[str | None] = mapped_column(Text)


class ReconcilerRow(Base):
    """How far the continuous comparison has come; one row. Whoever moves `due_at` on does the round."""

    __tablename__ = "reconciler"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    after_bill: Mapped[UUID] = mapped_column(server_default=NOBODY)
    due_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    ledger_due_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    lap_began_at: Mapped[datetime | None] = mapped_column(Instant)
    lap_ended_at: Mapped[datetime | None] = mapped_column(Instant)
