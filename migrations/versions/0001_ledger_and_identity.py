"""The ledger's tables and functions; staff, accounts and API keys."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from billing.exchange.sample import sample_snapshot
from billing.ledger.rates import store_sample  # sample_rates

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).with_name("0001_ledger_functions.sql")


class Xid8(sa.types.UserDefinedType):
    def get_col_spec(self, **_):
        return "xid8"


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), server_default="", nullable=False),
        sa.Column("billing_address", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("length(external_id) BETWEEN 1 AND 255", name=op.f("ck_customers_external_id_length")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_customers_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customers_external_id")),
    )
    op.create_index(
        "ix_customers_search",
        "customers",
        [sa.literal_column("(external_id || ' ' || name) gin_trgm_ops")],
        unique=False,
        postgresql_using="gin",
    )
    op.create_table(
        "events",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.CheckConstraint(
            "actor_kind IN ('user', 'api_key', 'workflow', 'system')", name=op.f("ck_events_actor_kind_known")
        ),
        sa.CheckConstraint(
            "subject_type IN ('bill', 'customer', 'rates', 'seller')", name=op.f("ck_events_subject_type_known")
        ),
        sa.PrimaryKeyConstraint("subject_id", "version", name=op.f("pk_events")),
    )
    op.create_index("ix_events_xid_seq", "events", ["xid", "seq"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=True),
        sa.Column("outcomes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("length(fingerprint) = 32", name=op.f("ck_idempotency_keys_fingerprint_length")),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 300", name=op.f("ck_idempotency_keys_key_length")),
        sa.PrimaryKeyConstraint("scope_id", "account_id", "operation", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "rate_refreshes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "attempted_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_refreshes")),
    )
    op.create_index(op.f("ix_rate_refreshes_attempted_at"), "rate_refreshes", ["attempted_at"], unique=False)
    op.create_table(
        "rate_snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("provider_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rates", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sample", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agreeing_fetches", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'accepted') = (accepted_at IS NOT NULL)", name=op.f("ck_rate_snapshots_accepted_at_when_accepted")
        ),
        sa.CheckConstraint("base ~ '^[A-Z]{3}$'", name=op.f("ck_rate_snapshots_base_code")),
        sa.CheckConstraint(
            "state IN ('accepted', 'quarantined', 'dropped')", name=op.f("ck_rate_snapshots_state_known")
        ),
        sa.CheckConstraint("accepted_at >= fetched_at", name=op.f("ck_rate_snapshots_accepted_after_fetched")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_snapshots")),
    )
    op.create_index(
        "ix_rate_snapshots_accepted",
        "rate_snapshots",
        ["sample", sa.literal_column("accepted_at DESC")],
        unique=False,
        postgresql_where=sa.text("state = 'accepted'"),
    )
    op.create_index(
        "uq_rate_snapshots_one_quarantined",
        "rate_snapshots",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'quarantined'"),
    )
    op.create_table(
        "seller",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("tax_id", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_seller_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seller")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f("ck_users_role_known")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "worker_heartbeats",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_heartbeats")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f("ck_api_keys_role_known")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_keys_token_hash")),
    )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"], unique=False)
    op.create_table(
        "bills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("item_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("close_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("rate_snapshot_id", sa.Uuid(), nullable=True),
        sa.Column("billed_customer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("seller", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(status = 'closed') = (closed_at IS NOT NULL) AND (status = 'closed') = (effective_at IS NOT NULL) AND (status = 'closed') = (close_reason IS NOT NULL) AND (status = 'closed') = (number IS NOT NULL)",
            name=op.f("ck_bills_closed_whole"),
        ),
        sa.CheckConstraint("close_reason IN ('manual', 'period_end')", name=op.f("ck_bills_close_reason_known")),
        sa.CheckConstraint(
            "period_end - period_start <= interval '366 days'", name=op.f("ck_bills_period_within_366_days")
        ),
        sa.CheckConstraint(
            "status <> 'closing' OR close_requested_at IS NOT NULL", name=op.f("ck_bills_closing_with_wish")
        ),
        sa.CheckConstraint("status <> 'open' OR close_requested_at IS NULL", name=op.f("ck_bills_open_without_wish")),
        sa.CheckConstraint("status IN ('open', 'closing', 'closed')", name=op.f("ck_bills_status_known")),
        sa.CheckConstraint("closed_at >= effective_at", name=op.f("ck_bills_closed_after_effective")),
        sa.CheckConstraint("period_end > period_start", name=op.f("ck_bills_period_forward")),
        sa.CheckConstraint("version >= 1 AND item_count >= 0", name=op.f("ck_bills_counts")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_bills_customer_id")),
        sa.ForeignKeyConstraint(["rate_snapshot_id"], ["rate_snapshots.id"], name=op.f("fk_bills_rate_snapshot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bills")),
        sa.UniqueConstraint("number", name=op.f("uq_bills_number")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_bills_closing", "bills", ["id"], unique=False, postgresql_where=sa.text("status = 'closing'"))
    op.create_index("ix_bills_customer_id_id", "bills", ["customer_id", "id"], unique=False)
    op.create_index(
        "ix_bills_due", "bills", ["period_end", "id"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_index("ix_bills_status_id", "bills", ["status", "id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "bill_subtotals",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("subtotal", sa.Numeric(), nullable=False),
        sa.Column("payable", sa.Numeric(), nullable=True),
        sa.Column("rounding", sa.Numeric(), nullable=True),
        sa.Column("minor_units", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_bill_subtotals_currency_code")),
        sa.CheckConstraint(
            "num_nulls(payable, rounding, minor_units) IN (0, 3) AND (payable IS NULL OR (payable = round(subtotal, minor_units) AND rounding = payable - subtotal))",
            name=op.f("ck_bill_subtotals_payable_is_the_rounded_subtotal"),
        ),
        sa.CheckConstraint("subtotal BETWEEN -1e30 AND 1e30", name=op.f("ck_bill_subtotals_subtotal_bounded")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_subtotals_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", "currency", name=op.f("pk_bill_subtotals")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_bill_subtotals_currency_bill_id", "bill_subtotals", ["currency", "bill_id"], unique=False)
    op.create_table(
        "bill_workflows",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("heard_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_workflows_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", name=op.f("pk_bill_workflows")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_bill_workflows_unfinished",
        "bill_workflows",
        ["bill_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "line_item_requests",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit_price", sa.Numeric(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_line_item_requests_decided_unless_pending")
        ),
        sa.CheckConstraint(
            "(state = 'rejected') = (error IS NOT NULL)", name=op.f("ck_line_item_requests_error_when_rejected")
        ),
        sa.CheckConstraint("state IN ('pending', 'added', 'rejected')", name=op.f("ck_line_item_requests_state_known")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_line_item_requests_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", "id", name=op.f("pk_line_item_requests")),
    )
    op.create_index(
        "ix_line_item_requests_pending",
        "line_item_requests",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "uq_line_item_requests_key",
        "line_item_requests",
        ["bill_id", "account_id", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_table(
        "line_items",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit_price", sa.Numeric(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_in_version", sa.BigInteger(), nullable=False),
        sa.Column("reverses", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_line_items_currency_code")),
        sa.CheckConstraint(
            "(reverses IS NOT NULL) = (quantity < 0)", name=op.f("ck_line_items_negative_when_reversing")
        ),
        sa.CheckConstraint(
            "(reverses IS NOT NULL) = (reason IS NOT NULL)", name=op.f("ck_line_items_reason_when_reversing")
        ),
        sa.CheckConstraint("length(description) BETWEEN 1 AND 500", name=op.f("ck_line_items_description_length")),
        sa.CheckConstraint("position >= 1 AND added_in_version >= 2", name=op.f("ck_line_items_counts")),
        sa.CheckConstraint(
            "quantity <> 0 AND quantity BETWEEN -1e12 AND 1e12 AND scale(trim_scale(quantity)) <= 6",
            name=op.f("ck_line_items_quantity_bounded"),
        ),
        sa.CheckConstraint(
            "total = quantity * unit_price AND total BETWEEN -1e15 AND 1e15", name=op.f("ck_line_items_total_is_exact")
        ),
        sa.CheckConstraint(
            "unit_price BETWEEN 0 AND 1e12 AND scale(trim_scale(unit_price)) <= 12",
            name=op.f("ck_line_items_unit_price_bounded"),
        ),
        sa.ForeignKeyConstraint(
            ["bill_id", "reverses"], ["line_items.bill_id", "line_items.id"], name="fk_line_items_reverses"
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_line_items_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", "position", name=op.f("pk_line_items")),
        sa.UniqueConstraint("bill_id", "id", name=op.f("uq_line_items_bill_id_id")),
    )
    op.create_index(
        "uq_line_items_bill_id_reverses",
        "line_items",
        ["bill_id", "reverses"],
        unique=True,
        postgresql_where=sa.text("reverses IS NOT NULL"),
    )
    op.get_bind().exec_driver_sql(FUNCTIONS.read_text(encoding="utf-8"))
    op.execute("INSERT INTO counters (name, last_value) VALUES ('bill_number', 0)")
    op.execute("INSERT INTO seller (id, name) VALUES (1, '')")
    store_sample(op.get_bind(), sample_snapshot())


def downgrade() -> None:
    op.execute("DROP FUNCTION add_line_items")
    op.execute("DROP FUNCTION billing_now")
    op.drop_index(
        "uq_line_items_bill_id_reverses", table_name="line_items", postgresql_where=sa.text("reverses IS NOT NULL")
    )
    op.drop_table("line_items")
    op.drop_index(
        "uq_line_item_requests_key", table_name="line_item_requests", postgresql_where=sa.text("key IS NOT NULL")
    )
    op.drop_index(
        "ix_line_item_requests_pending", table_name="line_item_requests", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_table("line_item_requests")
    op.drop_index(
        "ix_bill_workflows_unfinished", table_name="bill_workflows", postgresql_where=sa.text("finished_at IS NULL")
    )
    op.drop_table("bill_workflows")
    op.drop_index("ix_bill_subtotals_currency_bill_id", table_name="bill_subtotals")
    op.drop_table("bill_subtotals")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_expires_at"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_bills_status_id", table_name="bills")
    op.drop_index("ix_bills_due", table_name="bills", postgresql_where=sa.text("status = 'open'"))
    op.drop_index("ix_bills_customer_id_id", table_name="bills")
    op.drop_index("ix_bills_closing", table_name="bills", postgresql_where=sa.text("status = 'closing'"))
    op.drop_table("bills")
    op.drop_index(op.f("ix_api_keys_account_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("worker_heartbeats")
    op.drop_table("users")
    op.drop_table("seller")
    op.drop_index(
        "uq_rate_snapshots_one_quarantined",
        table_name="rate_snapshots",
        postgresql_where=sa.text("state = 'quarantined'"),
    )
    op.drop_index(
        "ix_rate_snapshots_accepted", table_name="rate_snapshots", postgresql_where=sa.text("state = 'accepted'")
    )
    op.drop_table("rate_snapshots")
    op.drop_index(op.f("ix_rate_refreshes_attempted_at"), table_name="rate_refreshes")
    op.drop_table("rate_refreshes")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_events_xid_seq", table_name="events")
    op.drop_table("events")
    op.drop_index("ix_customers_search", table_name="customers", postgresql_using="gin")
    op.drop_table("customers")
    op.drop_table("counters")
    op.drop_table("accounts")
