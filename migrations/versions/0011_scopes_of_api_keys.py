"""API keys have scopes in place of a role, and may be bound to customers.

Keys that are there get the scopes that their role opened. The version before goes on beside it: it reads the role, and
the keys it makes meanwhile have a role alone, which is read as those scopes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.losing import refuse_to_lose

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OF_VIEWERS = ("bills:read", "customers:read", "rates:read", "events:read")
OF_OPERATORS = (*OF_VIEWERS, "bills:write", "bills:close", "items:write", "customers:write")
OF_ADMINS = (*OF_OPERATORS, "rates:write", "webhooks")
CHECKS = {
    "opens_something": "scopes IS NOT NULL OR role IS NOT NULL",
    "scopes_some": "cardinality(scopes) > 0",
    "customer_ids_some": "cardinality(customer_ids) > 0",
}
# Each with its event, as any other.
REVOKED = """
    WITH revoked AS (
        UPDATE api_keys SET revoked_at = billing_now() WHERE role IS NULL AND revoked_at IS NULL RETURNING id, revoked_at
    )
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id, occurred_at)
    SELECT 'api_key', id, 2, 'api_key.revoked', 'system', 'billing', 'Pave Billing', 'migration-0011', revoked_at
    FROM revoked
"""


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_keys", sa.Column("customer_ids", sa.ARRAY(sa.Uuid()), nullable=True))
    op.alter_column("api_keys", "role", nullable=True)
    keys = sa.table("api_keys", sa.column("role"), sa.column("scopes", sa.ARRAY(sa.Text())))
    for role, scopes in (("viewer", OF_VIEWERS), ("operator", OF_OPERATORS), ("admin", OF_ADMINS)):
        op.execute(keys.update().where(keys.c.role == role).values(scopes=list(scopes)))
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_api_keys_{name}"), "api_keys", condition)


def downgrade() -> None:
    # The version before knows keys by their role alone: what no role describes would open more than it was given for.
    living = "SELECT count(*) FROM api_keys WHERE role IS NULL AND revoked_at IS NULL"
    refuse_to_lose("keys", living, "no role describes what these API keys open, so they would be revoked")
    op.execute(REVOKED)
    op.execute("UPDATE api_keys SET role = 'viewer' WHERE role IS NULL")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_api_keys_{name}"), "api_keys")
    op.alter_column("api_keys", "role", nullable=False)
    op.drop_column("api_keys", "customer_ids")
    op.drop_column("api_keys", "scopes")
