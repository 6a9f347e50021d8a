"""What items are in the systems they come from: which references of a customer are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from billing.bill import LineItemDraft
from billing.ledger import database
from billing.ledger.consistency import Difference, Kind
from billing.ledger.database import snapshot, transaction

AT_ONCE = 5_000


def taken(engine: Engine, bill_id: UUID, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these sources with their references that the bill's customer was charged for, on whatever bill."""
    if not pairs:
        return set()
    sources, references = zip(*pairs, strict=True)
    found = database.rows(engine, TAKEN, (list(sources), list(references), bill_id))
    return {(row.source, row.reference) for row in found}


# Of sources, their references, and a bill.
TAKEN = """
    SELECT k.source, k.reference FROM bills b
    CROSS JOIN unnest(%s::text[], %s::text[]) AS asked(source, reference)
    JOIN line_item_references k
        ON k.customer_id = b.customer_id AND k.source = asked.source AND k.reference = asked.reference
    WHERE b.id = %s
"""


def without_an_item(engine: Engine) -> Iterator[Difference]:
    """Bills on which items are said to be that aren't there under that reference. Reads every reference there is."""
    strays: Counter[UUID] = Counter()
    place: tuple[UUID, str, str] | None = (UUID(int=0), "", "")
    while place is not None:
        customer_id, source, reference = place
        after = {"customer_id": customer_id, "source": source, "reference": reference, "limit": AT_ONCE}
        with snapshot(engine) as connection:
            page = connection.execute(_PAGE, after).all()
        strays.update(row.bill_id for row in page if row.is_stray)
        place = (page[-1].customer_id, page[-1].source, page[-1].reference) if len(page) == AT_ONCE else None
    for bill_id, count in sorted(strays.items()):
        yield Difference(bill_id, f"references whose item isn't on the bill: {count}", Kind.REFERENCES)


# An item and its reference are stored together, so any snapshot has both.
_PAGE = text(
    """
    SELECT k.customer_id, k.source, k.reference, k.bill_id, NOT EXISTS (
        SELECT FROM line_items i JOIN bills b ON b.id = i.bill_id
        WHERE i.bill_id = k.bill_id AND i.id = k.item_id AND i.source = k.source AND i.reference = k.reference
          AND b.customer_id = k.customer_id
    ) AS is_stray
    FROM (
        SELECT * FROM line_item_references
        WHERE (customer_id, source, reference) > (:customer_id, :source, :reference)
        ORDER BY customer_id, source, reference LIMIT :limit
    ) AS k
    ORDER BY k.customer_id, k.source, k.reference
    """
)


def take_again(engine: Engine, bill_ids: Sequence[UUID]) -> int:
    """For items of these bills whose reference isn't taken: from then on it is, as when they were added. How many.

    What another item has stays with it, and no reference is ever given free.
    """
    with transaction(engine) as connection:
        # As when items are added: bills first, in the order of their ids, then references, in the order of theirs.
        connection.execute(_LOCK, {"ids": list(bill_ids)})
        untaken = connection.execute(_UNTAKEN, {"ids": list(bill_ids)}).all()
        return sum(connection.execute(_TAKE, _reference_of(row)).rowcount for row in untaken)


_LOCK = text("SELECT FROM bills WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_UNTAKEN = text(
    """
    SELECT b.customer_id, i.* FROM bills b JOIN line_items i ON i.bill_id = b.id
    WHERE b.id = ANY(:ids) AND i.reference IS NOT NULL AND NOT EXISTS (
        SELECT FROM line_item_references k
        WHERE k.customer_id = b.customer_id AND k.source = i.source AND k.reference = i.reference
    )
    ORDER BY b.customer_id, i.source, i.reference, i.bill_id, i.position
    """
)
_TAKE = text(
    """
    INSERT INTO line_item_references (customer_id, source, reference, bill_id, item_id, fingerprint)
    VALUES (:customer_id, :source, :reference, :bill_id, :item_id, :fingerprint)
    ON CONFLICT DO NOTHING
    """
)


def _reference_of(row: Any) -> dict[str, Any]:
    draft = LineItemDraft(
        row.description, row.quantity, row.unit_price, row.total, row.currency, row.source, row.reference
    )
    return {
        "customer_id": row.customer_id,
        "source": row.source,
        "reference": row.reference,
        "bill_id": row.bill_id,
        "item_id": row.id,
        "fingerprint": draft.fingerprint(),
    }
