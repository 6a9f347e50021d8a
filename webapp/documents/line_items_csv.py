"""A bill's lines as CSV: one row a line and nothing else, so that a spreadsheet can add them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from billing import money
from billing.bill import Bill, LineItem
from billing.clock import rfc3339
from billing.ledger import documents
from webapp import csv_text
from webapp.documents.figures import NOT_AN_INVOICE
from webapp.system import System

COLUMNS = (
    "line",
    "description",
    "quantity",
    "unit_price",
    "amount",
    "currency",
    "added_at",
    "takes_back_line",
    "reason",
    "taken_back_by_line",
)
LINES_A_CHUNK = 250


def csv_of(system: System, bill: Bill) -> Iterator[str]:
    """Chunk by chunk, for an answer that is sent while it is made; as many lines as `bill` has."""
    mark = (NOT_AN_INVOICE,) if bill.test else ()
    yield csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([(*COLUMNS, *(["note"] if mark else []))])
    rows: list[Iterable[str]] = []
    for item, counterpart in documents.every_line(system.engine, bill):
        rows.append((*_row(item, counterpart), *mark))
        if len(rows) == LINES_A_CHUNK:
            yield csv_text.csv_lines(rows)
            rows = []
    if rows:
        yield csv_text.csv_lines(rows)


def _row(item: LineItem, counterpart: int | None) -> tuple[str, ...]:
    """Figures exact and plain, so that they stay figures; amounts are quantity x unit_price."""
    reverses = item.reverses is not None
    return (
        str(item.position),
        csv_text.text(item.description),
        money.plain(item.quantity),
        money.plain(item.unit_price),
        money.plain(item.total),
        item.currency,
        rfc3339(item.created_at),
        str(counterpart) if reverses else "",
        csv_text.text(item.reason or ""),
        "" if reverses or counterpart is None else str(counterpart),
    )
