"""Indexes for the orders and filters of the list of bills."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.online import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "ix_customers_list_order",
        "customers",
        [sa.literal_column("lower(coalesce(nullif(name, ''), external_id))"), "id"],
    )
    create_index("ix_bills_period_end_id", "bills", ["period_end", "id"])
    create_index("ix_bills_number_or_zero", "bills", [sa.literal_column("coalesce(number, 0)"), "id"])
    create_index(
        "ix_bills_number_or_highest", "bills", [sa.literal_column("coalesce(number, 9223372036854775807)"), "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_bills_number_or_highest", "bills")
    op.drop_index("ix_bills_number_or_zero", "bills")
    op.drop_index("ix_bills_period_end_id", "bills")
    op.drop_index("ix_customers_list_order", "customers")
