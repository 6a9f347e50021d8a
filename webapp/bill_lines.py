"""What a reader asks of one bill's lines: those with some words, who added them, what a subtotal is the sum of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from billing.bill import LineItem
from billing.ledger import bill_lines, timeline
from billing.ledger.bill_lines import FoundLines, SubtotalParts
from billing.origin import Actor
from webapp.system import System


def lines_with(system: System, bill_id: UUID, text: str, *, limit: int, before: int | None = None) -> FoundLines:
    """Newest first; `before` is where the page before said to go on."""
    return bill_lines.search(system.engine, bill_id, text, limit=limit, before=before)


def subtotal_parts(system: System, bill_id: UUID, code: str, *, newest: int) -> SubtotalParts:
    return bill_lines.subtotal_parts(system.engine, bill_id, code, newest=newest)


def authors(system: System, items: Sequence[LineItem]) -> Mapping[int, Actor]:
    """Who added these items of one bill, by the version that their adding made."""
    if not items:
        return {}
    return timeline.authors(system.engine, items[0].bill_id, {item.added_in_version for item in items})
