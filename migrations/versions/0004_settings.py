"""What administrators set: currencies offered, the seller's logo. Customers are found by their e-mail too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.online import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "ix_customers_email",
        "customers",
        ["email"],
        postgresql_using="gin",
        postgresql_ops={"email": "gin_trgm_ops"},
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("offered_currencies", postgresql.ARRAY(sa.String(length=3)), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_settings_one_row")),
        sa.CheckConstraint("cardinality(offered_currencies) > 0", name=op.f("ck_settings_one_currency_offered")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings")),
    )
    # After a downgrade the events are still there, and no version may be given twice.
    op.execute(
        "INSERT INTO settings (id, version) SELECT 1, coalesce(max(version), 0) FROM events"
        " WHERE subject_id = '00000000-0000-0000-0000-000000000002'"
    )
    op.create_table(
        "logos",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.SmallInteger(), nullable=False),
        sa.Column("height", sa.SmallInteger(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("hash = encode(sha256(content), 'hex')", name=op.f("ck_logos_hash_of_content")),
        sa.CheckConstraint("kind IN ('image/png', 'image/jpeg')", name=op.f("ck_logos_kind_known")),
        sa.CheckConstraint("octet_length(content) BETWEEN 1 AND 262144", name=op.f("ck_logos_content_bounded")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_logos")),
    )
    op.add_column("seller", sa.Column("logo", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_seller_logo"), "seller", "logos", ["logo"], ["hash"])


def downgrade() -> None:
    op.drop_index("ix_customers_email", table_name="customers", postgresql_using="gin")
    op.drop_constraint(op.f("fk_seller_logo"), "seller", type_="foreignkey")
    op.drop_column("seller", "logo")
    op.drop_table("logos")
    op.drop_table("settings")
