"""What items are in the systems they come from: which references of a customer are taken."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Engine

from billing.ledger import database


def taken(engine: Engine, bill_id: UUID, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these sources with their references that the bill's customer was charged for, on whatever bill."""
    if not pairs:
        return set()
    sources, references = zip(*pairs, strict=True)
    found = database.rows(engine, _TAKEN, (list(sources), list(references), bill_id))
    return {(row.source, row.reference) for row in found}


_TAKEN = """
    SELECT k.source, k.reference FROM bills b
    CROSS JOIN unnest(%s::text[], %s::text[]) AS asked(source, reference)
    JOIN line_item_references k
        ON k.customer_id = b.customer_id AND k.source = asked.source AND k.reference = asked.reference
    WHERE b.id = %s
"""
