"""Links under which a customer sees a bill. What makes their addresses unguessable isn't stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant


class ShareLinkRow(Base):
    """A link works until it is revoked. Its key begins with the bill's id, as all keys of what a bill has; who comes by
    its address names its own id alone, which an index finds, and which is unique by how ids are made."""

    __tablename__ = "share_links"
    __table_args__ = (
        CheckConstraint("revoked_at >= created_at", name="revoked_after_created"),
        PrimaryKeyConstraint("bill_id", "id"),
        Index("ix_share_links_id", "id"),
    )

    id: Mapped[UUID]
    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
