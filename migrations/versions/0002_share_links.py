"""Share links; subjects of events that are no bill."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KNOWN = "ck_events_subject_type_known"


def upgrade() -> None:
    op.drop_constraint(KNOWN, "events")
    op.create_check_constraint(
        op.f(KNOWN),
        "events",
        "subject_type IN ('bill', 'customer', 'rates', 'seller', 'link', 'user', 'api_key', 'settings')",
    )
    op.create_table(
        "share_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("revoked_at >= created_at", name=op.f("ck_share_links_revoked_after_created")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_share_links_bill_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_links")),
    )
    op.create_index("ix_share_links_bill_id_id", "share_links", ["bill_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("share_links")
    op.execute("DELETE FROM events WHERE subject_type IN ('link', 'user', 'api_key', 'settings')")
    op.drop_constraint(KNOWN, "events")
    op.create_check_constraint(op.f(KNOWN), "events", "subject_type IN ('bill', 'customer', 'rates', 'seller')")
