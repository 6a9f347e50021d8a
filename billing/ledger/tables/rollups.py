"""What the overview reads instead of all bills: sums that follow the event log, never written with a change itself."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Numeric, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import ROOM_FOR_UPDATES, Base, Instant
from billing.ledger.tables.log import Xid8

NOTHING = text("0")


class RollupPositionRow(Base):
    """How far the log is counted; one row. `followed_at`: everything that was stored then is counted. None until
    the end of the log is first reached.

    `workflows_behind` is how many workflows had not heard of their bill for minutes at `looked_at`.
    """

    __tablename__ = "rollup_position"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    xid: Mapped[int] = mapped_column(Xid8)
    seq: Mapped[int] = mapped_column(BigInteger)
    followed_at: Mapped[datetime | None] = mapped_column(Instant)
    workflows_behind: Mapped[int] = mapped_column(BigInteger, server_default=NOTHING)
    looked_at: Mapped[datetime | None] = mapped_column(Instant)


class AccrualDayRow(Base):
    """The exact sum of the items accepted on one UTC day in one currency, reversals included."""

    __tablename__ = "accrual_days"
    __table_args__ = (Index("ix_accrual_days_day_currency", "day", "currency"),)

    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    total: Mapped[Decimal] = mapped_column(Numeric)


class OpenSubtotalRow(Base):
    """What an open bill adds to `accruing`: payables are rounded bill by bill, so their sum can't follow without."""

    __tablename__ = "open_subtotals"
    __table_args__ = (ROOM_FOR_UPDATES,)

    bill_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    subtotal: Mapped[Decimal] = mapped_column(Numeric)
    payable: Mapped[Decimal] = mapped_column(Numeric)


class AccruingRow(Base):
    """The sums of `open_subtotals` in one currency; a currency on no open bill has no row."""

    __tablename__ = "accruing"

    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    bills: Mapped[int] = mapped_column(BigInteger)
    subtotal: Mapped[Decimal] = mapped_column(Numeric)
    payable: Mapped[Decimal] = mapped_column(Numeric)


class BillStateRow(Base):
    """How many bills are open, closing, closed."""

    __tablename__ = "bill_states"

    status: Mapped[str] = mapped_column(Text, primary_key=True)
    bills: Mapped[int] = mapped_column(BigInteger)


class ClosedMonthRow(Base):
    """How many bills closed in a UTC month, which begins with its first day."""

    __tablename__ = "closed_months"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    bills: Mapped[int] = mapped_column(BigInteger)


class ClosedPayableRow(Base):
    """What the bills that closed in a month came to in one currency."""

    __tablename__ = "closed_payables"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    payable: Mapped[Decimal] = mapped_column(Numeric)
