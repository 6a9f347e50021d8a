"""Second factors, sessions that can be told apart, attempts to sign in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Instant = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    _change_users()
    _change_sessions()
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["second_factors.user_id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempts")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_attempts_ends_at"), "attempts", ["ends_at"], unique=False)


def _change_users() -> None:
    op.alter_column("users", "password_hash", nullable=True)
    op.add_column("users", sa.Column("oidc_subject", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.create_unique_constraint(op.f("uq_users_oidc_subject"), "users", ["oidc_subject"])
    # After a downgrade the events are still there, and no version may be given twice.
    op.execute(
        "UPDATE users SET version = coalesce((SELECT max(e.version) FROM events e WHERE e.subject_id = users.id), 1)"
    )
    # So a downgrade writes that somebody has no password.
    op.execute("UPDATE users SET password_hash = NULL WHERE password_hash = ''")


def _change_sessions() -> None:
    """Those that are open go on, as sessions begun with a password."""
    op.add_column("sessions", sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    op.add_column("sessions", sa.Column("browser", sa.Text(), server_default="", nullable=False))
    op.add_column("sessions", sa.Column("method", sa.Text(), server_default="password", nullable=False))
    op.add_column("sessions", sa.Column("awaits_code", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_unique_constraint(op.f("uq_sessions_id"), "sessions", ["id"])
    op.create_check_constraint(op.f("ck_sessions_method_known"), "sessions", "method IN ('password', 'oidc')")


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
    # A session that still awaits its second factor would become a whole one.
    op.execute("DELETE FROM sessions WHERE awaits_code")
    op.drop_constraint(op.f("ck_sessions_method_known"), "sessions")
    for column in ("awaits_code", "method", "browser", "id"):
        op.drop_column("sessions", column)
    for column in ("version", "oidc_subject"):
        op.drop_column("users", column)
    # No password fits an empty hash: who signed in elsewhere only stays, and gets a password from an admin.
    op.execute("UPDATE users SET password_hash = '' WHERE password_hash IS NULL")
    op.alter_column("users", "password_hash", nullable=False)
