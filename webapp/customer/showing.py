"""What the customer's templates are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.documents.document import Document
from webapp.documents.pdf import MOST_LINES
from webapp.pages.shown import offered_currencies
from webapp.system import System

LINES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class Spread:
    """Which lines a page shows; positions count from 1 without gaps, so that every page has its address."""

    first: int
    last: int
    count: int

    @property
    def previous(self) -> int | None:
        """After which position the page before begins."""
        return max(0, self.first - 1 - LINES_A_PAGE) if self.first > 1 else None

    @property
    def next(self) -> int | None:
        return self.last if 0 < self.last < self.count else None

    @property
    def is_whole(self) -> bool:
        return self.previous is None and self.next is None


def context(system: System, token: str, document: Document, *, after: int, known: int = 0) -> dict[str, Any]:
    """Of a page of the lines after a position. `known`: how many lines the bill had when the page was brought up to
    date last, 0 for a page that is new: of the lines before, only those that were taken back since need be there."""
    shows = [line for line in document.lines if line.item.position <= known]
    return {
        "token": token,
        "document": document,
        "spread": _spread(document, after),
        "currencies": offered_currencies(system, document.bill),
        "most_lines": MOST_LINES,
        "adds_to_lines": known > after,
        "new_lines": [line for line in document.lines if line.item.position > known],
        "taken_back": [line for line in shows if line.is_reversed and (line.counterpart or 0) > known],
    }


def _spread(of: Document, after: int) -> Spread:
    count = of.bill.item_count
    return Spread(after + 1, min(count, after + LINES_A_PAGE), count) if count > after else Spread(0, 0, count)
