"""The function that takes items of many callers in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).with_name("0008_adding_together_functions.sql")


def upgrade() -> None:
    op.get_bind().exec_driver_sql(FUNCTIONS.read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION add_line_items_together")
