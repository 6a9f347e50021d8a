"""Files of line items: what came, how far each is, and what became of every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.losing import refuse_to_lose
from migrations.online import replace_check

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KNOWN = "ck_events_subject_type_known"
OLD = "'bill', 'customer', 'rates', 'seller', 'link', 'user', 'api_key', 'settings', 'webhook_endpoint'"
NEW = "'import'"
COUNT = sa.Integer()
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    replace_check(KNOWN, "events", f"subject_type IN ({OLD}, {NEW})")
    op.create_table(
        "imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("customer_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.Column("added", COUNT, server_default="0", nullable=False),
        sa.Column("replayed", COUNT, server_default="0", nullable=False),
        sa.Column("rejected", COUNT, nullable=False),
        sa.Column("after_bill_id", sa.Uuid(), server_default="00000000-0000-0000-0000-000000000000", nullable=False),
        sa.Column("after_number", COUNT, server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("rows_dropped_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'waiting', 'running', 'done', 'cancelled')", name=op.f("ck_imports_state_known")
        ),
        sa.CheckConstraint("format IN ('csv', 'ndjson')", name=op.f("ck_imports_format_known")),
        sa.CheckConstraint(
            "actor_kind IN ('user', 'api_key', 'workflow', 'system')", name=op.f("ck_imports_actor_kind_known")
        ),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_imports_digest_length")),
        sa.CheckConstraint("added + replayed + rejected <= rows", name=op.f("ck_imports_no_more_than_rows")),
        sa.CheckConstraint(
            "state <> 'done' OR added + replayed + rejected = rows", name=op.f("ck_imports_done_with_all_rows")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'cancelled')) = (finished_at IS NOT NULL)", name=op.f("ck_imports_finished_in_the_end")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    # The tables are new and empty: nobody waits for these.
    op.create_index("ix_imports_account_id_id", "imports", ["account_id", "id"])
    op.create_index("ix_imports_bill_id_id", "imports", ["bill_id", "id"])
    unfinished, kept = sa.text("state IN ('waiting', 'running')"), sa.text("rows_dropped_at IS NULL")
    op.create_index("ix_imports_unfinished", "imports", ["account_id"], postgresql_where=unfinished)
    op.create_index("ix_imports_kept", "imports", ["created_at"], postgresql_where=kept)
    op.create_table(
        "import_rows",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", COUNT, autoincrement=False, nullable=False),
        sa.Column("line", COUNT, nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=True),
        sa.Column("unit_price", sa.Numeric(), nullable=True),
        sa.Column("total", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("given", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("item_bill_id", sa.Uuid(), nullable=True),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome IN ('added', 'replayed', 'rejected')", name=op.f("ck_import_rows_outcome_known")),
        sa.CheckConstraint(
            "(outcome IN ('added', 'replayed')) = (item_id IS NOT NULL)",
            name=op.f("ck_import_rows_item_of_its_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome = 'rejected') = (reason IS NOT NULL)", name=op.f("ck_import_rows_reason_of_its_outcome")
        ),
        sa.CheckConstraint(
            "fingerprint IS NOT NULL OR outcome = 'rejected'", name=op.f("ck_import_rows_right_or_rejected")
        ),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=op.f("fk_import_rows_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_import_rows")),
    )
    right = sa.text("fingerprint IS NOT NULL")
    op.create_index("ix_import_rows_by_bill", "import_rows", ["import_id", "bill_id", "number"], postgresql_where=right)


def downgrade() -> None:
    """What imports added stays."""
    refuse_to_lose(
        "imports",
        "SELECT count(*) FROM imports",
        "who imported what and what became of each row is lost, with its sealed events, and its key is free again",
    )
    replace_check(KNOWN, "events", f"subject_type IN ({OLD})", delete=f"subject_type IN ({NEW})")
    # A repeat would look for an import that is gone.
    op.execute("DELETE FROM idempotency_keys WHERE operation = 'import_line_items'")
    op.drop_table("import_rows")
    op.drop_table("imports")
