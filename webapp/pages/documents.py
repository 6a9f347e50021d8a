"""A bill's PDF and CSV for staff: the very documents that its customer gets."""

from __future__ import annotations

from flask import g, request
from flask.typing import ResponseReturnValue

from webapp.documents.answers import csv_answer, pdf_answer
from webapp.documents.pdf import MOST_LINES, TakesTooLong, TooManyLines
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.errors import notice
from webapp.pages.ids import parse_bill_id
from webapp.system import system

TOO_LONG = ("This bill is too long for a PDF", f"It has more than {MOST_LINES:,} lines. Its CSV has all of them.")
TOO_SLOW = ("This PDF takes too long to make", "The bill's CSV has all of its lines.")


@pages.get("/bills/<bill_id>/document.pdf")
@allow(Role.VIEWER)
def download_pdf(bill_id: str) -> ResponseReturnValue:
    try:
        currency, viewer = request.args.get("currency"), f"session:{g.caller.session_id}"
        return pdf_answer(system(), parse_bill_id(bill_id), currency, viewer=viewer)
    except TooManyLines:
        return notice(409, *TOO_LONG)
    except TakesTooLong:
        return notice(503, *TOO_SLOW)


@pages.get("/bills/<bill_id>/line-items.csv")
@allow(Role.VIEWER)
def download_csv(bill_id: str) -> ResponseReturnValue:
    return csv_answer(system(), parse_bill_id(bill_id))
