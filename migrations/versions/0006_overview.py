"""What the overview reads: sums that follow the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger()
CURRENCY = sa.String(length=3)
INSTANT = sa.DateTime(timezone=True)


class Xid8(sa.types.UserDefinedType):
    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.create_table(
        "rollup_position",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("seq", COUNT, nullable=False),
        sa.Column("followed_at", INSTANT, nullable=True),
        sa.Column("workflows_behind", COUNT, server_default=sa.text("0"), nullable=False),
        sa.Column("looked_at", INSTANT, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_rollup_position_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_position")),
    )
    # From the beginning of the log: what happened before this migration is counted too.
    op.execute("INSERT INTO rollup_position (id, xid, seq) VALUES (1, '0', 0)")
    op.create_table(
        "accrual_days",
        sa.Column("currency", CURRENCY, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("currency", "day", name=op.f("pk_accrual_days")),
    )
    op.create_index("ix_accrual_days_day_currency", "accrual_days", ["day", "currency"])
    op.create_table(
        "open_subtotals",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("currency", CURRENCY, nullable=False),
        sa.Column("subtotal", sa.Numeric(), nullable=False),
        sa.Column("payable", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("bill_id", "currency", name=op.f("pk_open_subtotals")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "accruing",
        sa.Column("currency", CURRENCY, nullable=False),
        sa.Column("bills", COUNT, nullable=False),
        sa.Column("subtotal", sa.Numeric(), nullable=False),
        sa.Column("payable", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("currency", name=op.f("pk_accruing")),
    )
    op.create_table(
        "bill_states",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("bills", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_bill_states")),
    )
    op.create_table(
        "closed_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("bills", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closed_months")),
    )
    op.create_table(
        "closed_payables",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("currency", CURRENCY, nullable=False),
        sa.Column("payable", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("month", "currency", name=op.f("pk_closed_payables")),
    )


def downgrade() -> None:
    op.drop_table("closed_payables")
    op.drop_table("closed_months")
    op.drop_table("bill_states")
    op.drop_table("accruing")
    op.drop_table("open_subtotals")
    op.drop_index("ix_accrual_days_day_currency", table_name="accrual_days")
    op.drop_table("accrual_days")
    op.drop_table("rollup_position")
