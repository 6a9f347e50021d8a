"""An index by which the bills of a span of time are found, newest first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.online import create_index

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    begin, end = (f"(date_trunc('month', {name} AT TIME ZONE 'UTC'))" for name in ("period_start", "period_end"))
    create_index("ix_bills_months_id", "bills", [sa.literal_column(begin), sa.literal_column(end), "id"])


def downgrade() -> None:
    op.drop_index("ix_bills_months_id", "bills")
