"""Rate snapshots, and every attempt to fetch one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant


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
