"""The report of an import as a file for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from flask import Response
from sqlalchemy import Engine

from billing.ledger import import_reports
from billing.ledger.exports import Batches
from billing.ledger.import_reports import ReportedRow
from billing.ledger.imports import Import
from webapp import csv_text
from webapp.exports.streaming import Chunks, streamed

COLUMNS = (
    "row", "line", "outcome", "bill_id", "line_item_id", "key", "source", "reference", "code", "reason", "field",
    "message",
)  # fmt: skip


def csv_of(engine: Engine, one: Import) -> Response:
    """All of it, sent while it is read. Raises ImportReportExpired, TooManyExports."""
    return streamed(
        lambda: _csv(import_reports.rows(engine, one)), mimetype=csv_text.MIMETYPE, file_name=file_name(one, "csv")
    )


def file_name(one: Import, format_: str) -> str:
    return f"import-{one.id}.{format_}"


def _csv(batches: Batches[ReportedRow]) -> Chunks:
    text = csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([COLUMNS])
    with closing(batches):
        for batch in batches:
            yield text + csv_text.csv_lines(map(_cells, batch))
            text = ""


def _cells(row: ReportedRow) -> Iterable[str]:
    ids = (str(id_ or "") for id_ in (row.bill_id, row.item_id))
    texts = (row.key, row.source, row.reference, row.code, row.reason, row.field, row.message)
    return (str(row.number), str(row.line), row.outcome, *ids, *(csv_text.text(text or "") for text in texts))
