"""CSV that spreadsheets open as it was meant: text stays text, figures stay figures.

RFC 4180 (commas, CRLF, quotes doubled), UTF-8 with the byte order mark without which Excel takes it for Windows-1252.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

MIMETYPE = "text/csv"
BYTE_ORDER_MARK = "\ufeff"

# What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection"), their full-width twins included.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text(value: str) -> str:
    """A cell with somebody's words in it: an apostrophe in front of what could be taken for a formula.

    Never for figures: -3.6 is a number and must stay one.
    """
    return f"'{value}" if value.lstrip(" \xa0").startswith(FORMULA_STARTS) else value


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """These rows as lines of CSV. Cells are written as they are: see `text`."""
    lines = StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return lines.getvalue()
