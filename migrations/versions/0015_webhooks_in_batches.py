"""Webhooks far behind: bills that wait in the log, wishes to send again, endpoints that go bit by bit; and where in the
log each epoch began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.online import replace_check

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger()
INSTANT = sa.DateTime(timezone=True)
KNOWN = "ck_webhook_endpoints_status_known"


def upgrade() -> None:
    replace_check(KNOWN, "webhook_endpoints", "status IN ('active', 'paused', 'deleted')")
    op.create_table(
        "webhook_backlogs",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("from_version", COUNT, nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_backlogs_endpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "subject_id", name=op.f("pk_webhook_backlogs")),
    )
    op.create_table(
        "webhook_redeliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("since", INSTANT, nullable=True),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("only_failed", sa.Boolean(), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("found", COUNT, nullable=False),
        sa.Column("after_n", COUNT, nullable=False),
        sa.Column("last_n", COUNT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_redeliveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_redeliveries")),
    )
    # The table is new and empty: nobody waits for these.
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_webhook_redeliveries_unfinished",
        "webhook_redeliveries",
        ["endpoint_id", "id"],
        postgresql_where=unfinished,
    )
    op.create_index("ix_webhook_redeliveries_endpoint_id", "webhook_redeliveries", ["endpoint_id"])
    # Of epochs that began before, events keep the ids that they were told under.
    op.add_column("ledger_epochs", sa.Column("after_seq", COUNT, nullable=True))
    # Their workflows may sleep, and nobody would wake them to end.
    op.execute("UPDATE webhook_endpoints SET due_at = paused_at - interval '1 minute' WHERE status = 'paused'")


def downgrade() -> None:
    """What waits in the log is queued whole, as it was before. Wishes to send again that aren't carried out are lost."""
    replace_check(KNOWN, "webhook_endpoints", "status IN ('active', 'paused')", delete="status = 'deleted'")
    op.execute(
        """
        INSERT INTO webhook_deliveries (endpoint_id, subject_id, version, type, occurred_at, queued_at,
                                        next_attempt_at, give_up_at)
        SELECT w.id, e.subject_id, e.version, e.type, e.occurred_at, i.now, i.now, i.now + interval '3 days'
        FROM webhook_backlogs b
        JOIN webhook_endpoints w ON w.id = b.endpoint_id
        JOIN events e ON e.subject_id = b.subject_id AND e.version >= b.from_version
                     AND (w.types IS NULL OR e.type = ANY(w.types)),
             (SELECT clock_timestamp() AS now) AS i
        ORDER BY e.subject_id, e.version
        ON CONFLICT (endpoint_id, subject_id, version) DO NOTHING
        """
    )
    op.drop_column("ledger_epochs", "after_seq")
    op.drop_table("webhook_redeliveries")
    op.drop_table("webhook_backlogs")
