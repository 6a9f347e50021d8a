"""A file's rows, read once and written as PostgreSQL takes them in: afterwards, in one short transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from uuid import UUID

from billing import money
from billing.bill import LONGEST_DESCRIPTION, LONGEST_REFERENCE, LONGEST_SOURCE
from billing.errors import InvalidArgument
from billing.identifiers import new_id
from billing.ledger.imports import MOST_ROWS, StagedFile
from billing.ledger.line_items import Entry
from billing.text import storable
from webapp.api.contract.fields import LONGEST_KEY
from webapp.imports.files import IN_MEMORY, ReceivedFile
from webapp.imports.rows import NO_ROWS, FileRow, rows_of

TOO_MANY_ROWS = InvalidArgument(f"the file has more than {MOST_ROWS:,} rows", reason="too_many_rows")
NULL = "\\N"
NO_VALUE = f"\t{NULL}"
_LONGEST = {
    "key": LONGEST_KEY,
    "source": LONGEST_SOURCE,
    "reference": LONGEST_REFERENCE,
    "description": LONGEST_DESCRIPTION,
}
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextmanager
def staged(file: ReceivedFile, format_: str, codes: Collection[str], bill_id: UUID | None) -> Iterator[StagedFile]:
    """Raises InvalidArgument for a file that can't be right at all."""
    id_, rows, rejected = new_id(), 0, 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
        lines = cast("BinaryIO", kept)
        for row in rows_of(file.content, format_, codes, bill_id):
            rows += 1
            if rows > MOST_ROWS:
                raise TOO_MANY_ROWS
            rejected += row.refusal is not None
            lines.write(_line(id_, row))
        if not rows:
            raise NO_ROWS
        lines.seek(0)
        yield StagedFile(id_, format_, file.digest, rows, rejected, lines)


def _line(import_id: UUID, row: FileRow) -> bytes:
    """The columns of STAGED_COLUMNS."""
    place = f"{import_id}\t{row.number}\t{row.line}\t{row.bill_id or NULL}"
    return f"{place}\t{_good(row.entry) if row.entry else _bad(row)}\n".encode()


def _good(entry: Entry) -> str:
    """Written out: what people wrote is the only text that needs escaping."""
    draft = entry.draft
    texts = _texts(entry.key, draft.source, draft.reference, draft.description)
    figures = "\t".join(map(money.plain, (draft.quantity, draft.unit_price, draft.total)))
    return f"{texts}\t{figures}\t{draft.currency}\t\\\\x{entry.fingerprint.hex()}{6 * NO_VALUE}"


def _bad(row: FileRow) -> str:
    refusal = row.refusal
    assert refusal is not None
    names = [_as_given(row.given, name, longest) for name, longest in _LONGEST.items()]
    field = storable(refusal.field) if refusal.field else None
    why = _texts(row.text, "rejected", refusal.code, refusal.reason, field, storable(refusal.message))
    return f"{_texts(*names)}{5 * NO_VALUE}\t{why}"


def _as_given(given: Any, name: str, longest: int) -> str | None:
    """By which its sender knows the row."""
    value = given.get(name) if isinstance(given, dict) else None
    return storable(value[:longest]) if isinstance(value, str) else None


def _texts(*values: str | None) -> str:
    return "\t".join([NULL if value is None else value.translate(_ESCAPED) for value in values])
