"""How long the rows of imports are kept. What an import came to, and who sent it, stays."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, text

from billing.ledger.database import transaction
from billing.ledger.imports import DRAFT_KEPT

KEPT = timedelta(days=30)
DROPPED_AT_ONCE = 5_000


def prune(engine: Engine) -> int:
    """Drops rows of what was over a month ago, and drafts that nobody confirmed; how many rows at once."""
    with transaction(engine) as connection:
        dropped = connection.execute(
            _DROP_ROWS, {"kept": KEPT, "limit": DROPPED_AT_ONCE, "drafts": DRAFT_KEPT}
        ).rowcount
        if dropped < DROPPED_AT_ONCE:
            connection.execute(_DROP_DRAFTS, {"drafts": DRAFT_KEPT})
            connection.execute(_NOTE_DROPPED, {"kept": KEPT})
        return dropped


_OUTDATED = """
    (finished_at < billing_now() - CAST(:kept AS interval)
     OR state = 'draft' AND created_at < billing_now() - CAST(:drafts AS interval))
"""
_DROP_ROWS = text(
    f"""
    DELETE FROM import_rows WHERE (import_id, number) IN (
        SELECT r.import_id, r.number FROM imports i JOIN import_rows r ON r.import_id = i.id
        WHERE i.rows_dropped_at IS NULL AND {_OUTDATED} LIMIT :limit)
    """  # noqa: S608  constants
)
# Another worker may drop the same rows just now: then few were found here, and many are left.
_NO_ROWS = "NOT EXISTS (SELECT FROM import_rows r WHERE r.import_id = imports.id)"
_DROP_DRAFTS = text(
    f"""
    DELETE FROM imports
    WHERE state = 'draft' AND created_at < billing_now() - CAST(:drafts AS interval) AND {_NO_ROWS}
    """  # noqa: S608  constants
)
_NOTE_DROPPED = text(
    f"""
    UPDATE imports SET rows_dropped_at = billing_now()
    WHERE rows_dropped_at IS NULL AND finished_at < billing_now() - CAST(:kept AS interval) AND {_NO_ROWS}
    """  # noqa: S608  constants
)
