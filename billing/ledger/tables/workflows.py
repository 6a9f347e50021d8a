"""What workflows have heard, and which workers live."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import ROOM_FOR_UPDATES, Base, Instant


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
