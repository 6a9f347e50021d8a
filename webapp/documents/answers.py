"""PDF and CSV as answers, the same for staff and for the customer."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from webapp.documents import document
from webapp.documents.document import Document
from webapp.documents.line_items_csv import csv_of
from webapp.documents.pdf import MOST_LINES, TooManyLines, pdf_of, place
from webapp.system import System


def pdf_answer(system: System, bill_id: UUID, currency: str | None, *, viewer: str) -> Response:
    """`viewer` names whose requests count together.

    Raises BillNotFound, TooManyLines, TooManyDocuments, TakesTooLong.
    """
    if document.read(system, bill_id, limit=0).bill.item_count > MOST_LINES:
        raise TooManyLines
    with place(viewer):
        whole = document.read(system, bill_id, currency=currency, limit=MOST_LINES)
        return _download(Response(pdf_of(system, whole), mimetype="application/pdf"), whole, "pdf")


def csv_answer(system: System, bill_id: UUID) -> Response:
    """Raises BillNotFound."""
    without_lines = document.read(system, bill_id, limit=0)
    streamed = csv_of(system, without_lines.bill)
    return _download(Response(streamed, mimetype="text/csv"), without_lines, "csv")


def _download(response: Response, of: Document, ending: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{of.file_name}.{ending}"'
    return response
