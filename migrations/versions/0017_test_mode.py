"""Test mode: the ledger's tables once more, in a schema of their own, and API keys that lead there.

No table that is there is read or rewritten. It stands after whatever else changes those tables: what it finds is what
it makes again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.losing import refuse_to_lose
from migrations.mirror import FUNCTIONS, SCHEMA, TABLES, mirror, mirror_functions

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

CLOCK = f"""
CREATE FUNCTION {SCHEMA}.billing_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT public.billing_now()
        + coalesce(nullif(current_setting('pave.bill_clock_ahead', true), '')::interval, interval '0')
$$
"""


# Each with its event, as any other.
REVOKED = """
    WITH revoked AS (
        UPDATE api_keys SET revoked_at = public.billing_now() WHERE test AND revoked_at IS NULL RETURNING id, revoked_at
    )
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id, occurred_at)
    SELECT 'api_key', id, 2, 'api_key.revoked', 'system', 'billing', 'Pave Billing', 'migration-0017', revoked_at
    FROM revoked
"""


def upgrade() -> None:
    op.execute(f"CREATE SCHEMA {SCHEMA}")
    mirror(TABLES)
    # How far a bill's clock is ahead of everybody's. The rows of live bills have none.
    op.execute(
        f"ALTER TABLE {SCHEMA}.bills ADD COLUMN clock_ahead interval NOT NULL DEFAULT '0'"
        " CONSTRAINT ck_bills_clock_forward CHECK (clock_ahead >= interval '0')"
    )
    op.execute(f"CREATE INDEX ix_bills_due_by_clock ON {SCHEMA}.bills (id) WHERE status = 'open' AND clock_ahead > '0'")
    op.execute(CLOCK)
    mirror_functions(FUNCTIONS)
    op.execute(f"INSERT INTO {SCHEMA}.counters (name, last_value) VALUES ('bill_number', 0)")  # noqa: S608  a constant
    op.execute(f"INSERT INTO {SCHEMA}.rollup_position (id, xid, seq) VALUES (1, '0', 0)")  # noqa: S608  a constant
    # Last: from here to the end of the migration nobody gets in.
    op.add_column("api_keys", sa.Column("test", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    refuse_to_lose(
        "test-mode",
        f"SELECT (SELECT count(*) FROM {SCHEMA}.events) + (SELECT count(*) FROM api_keys WHERE test AND revoked_at IS NULL)",  # noqa: S608  a constant
        "what was made in test mode would go, and its API keys would be revoked",
    )
    op.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    op.execute(REVOKED)
    op.execute("UPDATE api_keys SET customer_ids = NULL WHERE test")
    op.drop_column("api_keys", "test")
