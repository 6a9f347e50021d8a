"""Share links; subjects of events that are no bill."""

from __future__ import annotations

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


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE subject_type IN ('link', 'user', 'api_key', 'settings')")
    op.drop_constraint(KNOWN, "events")
    op.create_check_constraint(op.f(KNOWN), "events", "subject_type IN ('bill', 'customer', 'rates', 'seller')")
