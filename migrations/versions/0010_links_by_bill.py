"""Links' keys begin with their bill's id, as those of all rows of a bill do: by it they may be split or distributed."""

from __future__ import annotations

from alembic import op

from migrations.online import create_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = "pk_share_links"


def upgrade() -> None:
    # Whoever has an address knows the link's id alone.
    create_index("ix_share_links_id", "share_links", ["id"])
    _key_by(["bill_id", "id"])
    op.drop_index("ix_share_links_bill_id_id", "share_links")


def downgrade() -> None:
    create_index("ix_share_links_bill_id_id", "share_links", ["bill_id", "id"])
    _key_by(["id"])
    op.drop_index("ix_share_links_id", "share_links")


def _key_by(columns: list[str]) -> None:
    """The index is made while everybody reads and writes; to change the key is then a moment's work."""
    made = f"{KEY}_to_be"
    create_index(made, "share_links", columns, unique=True)
    op.execute(f"ALTER TABLE share_links DROP CONSTRAINT {KEY}, ADD CONSTRAINT {KEY} PRIMARY KEY USING INDEX {made}")
