"""Epochs of the ledger, what a restore lost, and what was found to differ."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger()
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
NOBODY = sa.text("'00000000-0000-0000-0000-000000000000'")


def upgrade() -> None:
    op.create_table(
        "ledger_epochs",
        sa.Column("epoch", COUNT, autoincrement=False, nullable=False),
        sa.Column("began_at", INSTANT, nullable=False),
        sa.Column("begun_by", sa.Text(), nullable=False),
        sa.Column("numbers_from", COUNT, nullable=True),
        sa.Column("numbers_to", COUNT, nullable=True),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_ledger_epochs_epoch_positive")),
        sa.CheckConstraint(
            "num_nulls(numbers_from, numbers_to) IN (0, 2)", name=op.f("ck_ledger_epochs_numbers_from_and_to")
        ),
        sa.CheckConstraint("numbers_from <= numbers_to", name=op.f("ck_ledger_epochs_numbers_forward")),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_ledger_epochs")),
    )
    op.create_table(
        "ledger_losses",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", COUNT, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", COUNT, nullable=False),
        sa.Column("item_count", COUNT, nullable=False),
        sa.Column("totals", postgresql.JSONB(), nullable=False),
        sa.Column("number", COUNT, nullable=True),
        sa.Column("stored_version", COUNT, nullable=True),
        sa.Column("stored_item_count", COUNT, nullable=False),
        sa.Column("stored_totals", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["epoch"], ["ledger_epochs.epoch"], name=op.f("fk_ledger_losses_epoch")),
        sa.PrimaryKeyConstraint("bill_id", "epoch", name=op.f("pk_ledger_losses")),
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), server_default=NOBODY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("first_seen", INSTANT, server_default=NOW, nullable=False),
        sa.Column("last_seen", INSTANT, server_default=NOW, nullable=False),
        sa.Column("resolved_at", INSTANT, nullable=True),
        sa.Column("repair_asked_at", INSTANT, nullable=True),
        sa.Column("repair_asked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    # The tables are new and empty: nobody waits for these.
    still_open = sa.text("resolved_at IS NULL")
    op.create_index("uq_findings_open", "findings", ["bill_id", "kind"], unique=True, postgresql_where=still_open)
    op.create_index("ix_findings_open", "findings", ["id"], postgresql_where=still_open)
    resolved = sa.text("resolved_at IS NOT NULL")
    op.create_index("ix_findings_resolved", "findings", ["resolved_at", "id"], postgresql_where=resolved)
    op.create_table(
        "reconciler",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("after_bill", sa.Uuid(), server_default=NOBODY, nullable=False),
        sa.Column("due_at", INSTANT, server_default=NOW, nullable=False),
        sa.Column("ledger_due_at", INSTANT, server_default=NOW, nullable=False),
        sa.Column("lap_began_at", INSTANT, nullable=True),
        sa.Column("lap_ended_at", INSTANT, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_reconciler_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciler")),
    )
    op.execute("INSERT INTO reconciler (id) VALUES (1)")


def downgrade() -> None:
    op.drop_table("reconciler")
    op.drop_table("findings")
    op.drop_table("ledger_losses")
    op.drop_table("ledger_epochs")
