"""Seals over the event log, and the indexes by which administrators find in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.losing import refuse_to_lose
from migrations.online import create_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger()


def upgrade() -> None:
    create_index("ix_events_occurred_at_seq", "events", ["occurred_at", "seq"])
    create_index("ix_events_actor_name_occurred_at_seq", "events", ["actor_name", "occurred_at", "seq"])
    # Most events are of the one type that isn't in it: they cost nothing here, and are found without.
    rare = sa.text("type <> 'line_items.added'")
    create_index("ix_events_type_occurred_at_seq", "events", ["type", "occurred_at", "seq"], postgresql_where=rare)
    op.create_table(
        "audit_seals",
        sa.Column("number", COUNT, autoincrement=False, nullable=False),
        sa.Column("series", sa.SmallInteger(), nullable=False),
        sa.Column("after_xid", COUNT, nullable=False),
        sa.Column("after_seq", COUNT, nullable=False),
        sa.Column("last_xid", COUNT, nullable=False),
        sa.Column("last_seq", COUNT, nullable=False),
        sa.Column("count", COUNT, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number >= 1 AND series >= 1", name=op.f("ck_audit_seals_counted_from_1")),
        sa.CheckConstraint("(after_xid, after_seq) <= (last_xid, last_seq)", name=op.f("ck_audit_seals_forward")),
        sa.CheckConstraint("length(entries) = count * 72", name=op.f("ck_audit_seals_entries_counted")),
        sa.CheckConstraint("length(previous) = 32 AND length(hash) = 32", name=op.f("ck_audit_seals_hash_length")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seals")),
    )
    op.create_index("ix_audit_seals_last", "audit_seals", ["series", "last_xid", "last_seq"])
    # Hashes can't be compressed: to try would be half of the work of storing them.
    op.execute("ALTER TABLE audit_seals ALTER COLUMN entries SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Who goes back notes the last seal first."""
    refuse_to_lose(
        "seals", "SELECT count(*) FROM audit_seals", "the log would be sealed anew, whatever is in it by then"
    )
    op.drop_table("audit_seals")
    for columns in ("type", "actor_name", "occurred_at"):
        name = "ix_events_occurred_at_seq" if columns == "occurred_at" else f"ix_events_{columns}_occurred_at_seq"
        op.drop_index(name, "events")
