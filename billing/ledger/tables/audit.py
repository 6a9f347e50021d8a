"""The chain of seals over the event log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import Base, Instant


class SealRow(Base):
    """A batch of events after (`after_xid`, `after_seq`) up to (`last_xid`, `last_seq`), as billing/ledger/seals.py
    makes it. A `series` is a log in one order: it ends where the log of another server is adopted."""

    __tablename__ = "audit_seals"
    __table_args__ = (
        Index("ix_audit_seals_last", "series", "last_xid", "last_seq"),
        CheckConstraint("number >= 1 AND series >= 1", name="counted_from_1"),
        CheckConstraint("(after_xid, after_seq) <= (last_xid, last_seq)", name="forward"),
        CheckConstraint("length(entries) = count * 72", name="entries_counted"),
        CheckConstraint("length(previous) = 32 AND length(hash) = 32", name="hash_length"),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    series: Mapped[int] = mapped_column(SmallInteger)
    after_xid: Mapped[int] = mapped_column(BigInteger)
    after_seq: Mapped[int] = mapped_column(BigInteger)
    last_xid: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(BigInteger)
    sealed_at: Mapped[datetime] = mapped_column(Instant)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    entries: Mapped[bytes] = mapped_column(LargeBinary)
