"""Share links; subjects of events that are no bill."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.online import replace_check

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KNOWN = "ck_events_subject_type_known"
OLD = "'bill', 'customer', 'rates', 'seller'"
NEW = "'link', 'user', 'api_key', 'settings'"


def upgrade() -> None:
    replace_check(KNOWN, "events", f"subject_type IN ({OLD}, {NEW})")
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
    replace_check(KNOWN, "events", f"subject_type IN ({OLD})", delete=f"subject_type IN ({NEW})")
    # A repeat would look for a link that is gone.
    op.execute("DELETE FROM idempotency_keys WHERE operation = 'create_link'")
    op.drop_table("share_links")
