"""Changes of tables that everybody writes to, without keeping anybody from writing while a table is read whole.

Each statement here commits by itself, so each can be repeated: a migration that was broken off is run again. What else
a migration does stands after these, in the transaction that also notes its revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

INVALID = sa.text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def create_index(name: str, table: str, columns: Sequence[str | sa.ColumnElement], **options: object) -> None:
    """What an attempt that was broken off left under this name is no index, and makes room."""
    with op.get_context().autocommit_block(), _patience():
        if op.get_bind().execute(INVALID, {"name": name}).scalar():
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, if_not_exists=True, **options)


def replace_check(name: str, table: str, condition: str, *, delete: str | None = None) -> None:
    """New rows obey at once; those that are there are looked at afterwards, without those that `delete` fits."""
    with op.get_context().autocommit_block():
        # Whoever comes waits behind this one, so it gives up when it can't have the table soon.
        check = f"ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID"
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, {check}")
        with _patience():
            if delete:
                op.execute(f"DELETE FROM {table} WHERE {delete}")  # noqa: S608  constants
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


@contextmanager
def _patience() -> Iterator[None]:
    """For what waits until older transactions end, and lets everybody pass meanwhile."""
    op.execute("SET lock_timeout = 0")
    yield
    op.execute("RESET lock_timeout")
