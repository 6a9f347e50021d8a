"""What a line item is in the system that it comes from: charged once, on whatever bill of its customer."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from migrations.losing import refuse_to_lose

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent
FUNCTIONS = HERE / "0013_line_item_references_functions.sql"
BEFORE = {
    "add_line_items": HERE / "0001_ledger_functions.sql",
    "add_line_items_together": HERE / "0008_adding_together_functions.sql",
}
WITH_REFERENCES = ("line_items", "line_item_requests")


def upgrade() -> None:
    # By itself, so that the tables are locked for a moment only; repeated, it does nothing.
    with op.get_context().autocommit_block():
        for table in WITH_REFERENCES:
            columns = "ADD COLUMN IF NOT EXISTS source text, ADD COLUMN IF NOT EXISTS reference text"
            op.execute(f"ALTER TABLE {table} {columns}")
    op.create_table(
        "line_item_references",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 100", name=op.f("ck_line_item_references_source_length")),
        sa.CheckConstraint(
            "length(reference) BETWEEN 1 AND 255", name=op.f("ck_line_item_references_reference_length")
        ),
        sa.CheckConstraint("length(fingerprint) = 32", name=op.f("ck_line_item_references_fingerprint_length")),
        sa.PrimaryKeyConstraint("customer_id", "source", "reference", name=op.f("pk_line_item_references")),
    )
    # In one transaction, and their new parameters may be left out: who still runs the code of before notices nothing.
    for name in BEFORE:
        op.execute(f"DROP FUNCTION {name}")
    op.get_bind().exec_driver_sql(FUNCTIONS.read_text(encoding="utf-8"))


def downgrade() -> None:
    refuse_to_lose(
        "references",
        "SELECT count(*) FROM line_item_references",
        "what was charged by them would be charged again when it is sent once more",
    )
    for name in (*BEFORE, "take_references"):
        op.execute(f"DROP FUNCTION {name}")
    for name, file in BEFORE.items():
        written = file.read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(written[written.index(f"CREATE FUNCTION {name}(") :])
    op.drop_table("line_item_references")
    for table in WITH_REFERENCES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN source, DROP COLUMN reference")
