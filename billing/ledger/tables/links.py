"""Links under which a customer sees a bill. What makes their addresses unguessable isn't stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant


class ShareLinkRow(Base):
    """A link works until it is revoked."""

    __tablename__ = "share_links"
    __table_args__ = (
        CheckConstraint("revoked_at >= created_at", name="revoked_after_created"),
        Index("ix_share_links_bill_id_id", "bill_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
