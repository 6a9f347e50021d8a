"""Webhook endpoints, the events queued for them, and how sending them went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.online import replace_check

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KNOWN = "ck_events_subject_type_known"
OLD = "'bill', 'customer', 'rates', 'seller', 'link', 'user', 'api_key', 'settings'"
NEW = "'webhook_endpoint'"
COUNT = sa.BigInteger()
INSTANT = sa.DateTime(timezone=True)
OPERATIONS = "'create_webhook_endpoint', 'change_webhook_endpoint', 'rotate_webhook_secret', 'redeliver_webhooks'"


class Xid8(sa.types.UserDefinedType):
    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    replace_check(KNOWN, "events", f"subject_type IN ({OLD}, {NEW})")
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_at", INSTANT, nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_until", INSTANT, nullable=True),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("seq", COUNT, nullable=False),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("rests_until", INSTANT, nullable=True),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("version", COUNT, server_default="1", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("length(url) BETWEEN 1 AND 2048", name=op.f("ck_webhook_endpoints_url_length")),
        sa.CheckConstraint("cardinality(types) > 0", name=op.f("ck_webhook_endpoints_some_type")),
        sa.CheckConstraint("status IN ('active', 'paused')", name=op.f("ck_webhook_endpoints_status_known")),
        sa.CheckConstraint(
            "paused_reason IN ('by_hand', 'failing')", name=op.f("ck_webhook_endpoints_paused_reason_known")
        ),
        sa.CheckConstraint(
            "num_nulls(paused_reason, paused_at) = CASE status WHEN 'paused' THEN 0 ELSE 2 END",
            name=op.f("ck_webhook_endpoints_paused_since"),
        ),
        sa.CheckConstraint(
            "num_nulls(previous_secret, previous_secret_until) IN (0, 2)",
            name=op.f("ck_webhook_endpoints_previous_secret_until"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("n", COUNT, sa.Identity(always=True), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", COUNT, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("queued_at", INSTANT, nullable=False),
        sa.Column("next_attempt_at", INSTANT, nullable=False),
        sa.Column("give_up_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (finished_at IS NULL)", name=op.f("ck_webhook_deliveries_finished_unless_pending")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_deliveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "n", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "endpoint_id", "subject_id", "version", name=op.f("uq_webhook_deliveries_endpoint_id_subject_id_version")
        ),
        postgresql_with={"fillfactor": "70"},
    )
    # The tables are new and empty: nobody waits for these.
    pending, finished = sa.text("status = 'pending'"), sa.text("status <> 'pending'")
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["endpoint_id", "subject_id", "n"],
        postgresql_where=pending,
    )
    op.create_index("ix_webhook_deliveries_finished", "webhook_deliveries", ["finished_at"], postgresql_where=finished)
    op.create_table(
        "webhook_attempts",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("delivery", COUNT, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempted_at", INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("excerpt", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("octet_length(excerpt) <= 4096", name=op.f("ck_webhook_attempts_excerpt_short")),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "delivery"],
            ["webhook_deliveries.endpoint_id", "webhook_deliveries.n"],
            name="fk_webhook_attempts_delivery",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "delivery", "attempt", name=op.f("pk_webhook_attempts")),
    )


def downgrade() -> None:
    replace_check(KNOWN, "events", f"subject_type IN ({OLD})", delete=f"subject_type IN ({NEW})")
    # A repeat would look for an endpoint that is gone.
    op.execute(f"DELETE FROM idempotency_keys WHERE operation IN ({OPERATIONS})")  # noqa: S608  constants
    op.drop_table("webhook_attempts")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_endpoints")
