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
from billing.ledger.imports import MOST_ROWS, Staged
from billing.text import storable
from webapp.api.contract.fields import LONGEST_KEY
from webapp.imports.files import IN_MEMORY, ReceivedFile
from webapp.imports.rows import NO_ROWS, FileRow, rows_of

TOO_MANY_ROWS = InvalidArgument(f"the file has more than {MOST_ROWS:,} rows", reason="too_many_rows")
_LONGEST = {"key": LONGEST_KEY, "source": LONGEST_SOURCE, "reference": LONGEST_REFERENCE}
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextmanager
def staged(file: ReceivedFile, format_: str, codes: Collection[str], bill_id: UUID | None) -> Iterator[Staged]:
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
        yield Staged(id_, format_, file.digest, rows, rejected, lines)


def _line(import_id: UUID, row: FileRow) -> bytes:
    """The columns of STAGED_COLUMNS."""
    values = (import_id, row.number, row.line, row.bill_id, *(_good(row) if row.entry else _bad(row)))
    return ("\t".join([_written(value) for value in values]) + "\n").encode()


def _good(row: FileRow) -> tuple[Any, ...]:
    assert row.entry is not None
    draft, key = row.entry.draft, row.entry.key
    return (
        key, draft.source, draft.reference, draft.description, money.plain(draft.quantity),
        money.plain(draft.unit_price), money.plain(draft.total), draft.currency, f"\\x{row.entry.fingerprint.hex()}",
        None, None, None, None, None, None,
    )  # fmt: skip


def _bad(row: FileRow) -> tuple[Any, ...]:
    refusal = row.refusal
    assert refusal is not None
    names = [_as_given(row.given, name, longest) for name, longest in _LONGEST.items()]
    description = _as_given(row.given, "description", LONGEST_DESCRIPTION)
    field = storable(refusal.field) if refusal.field else None
    return (
        *names, description, None, None, None, None, None,
        row.text, "rejected", refusal.code, refusal.reason, field, storable(refusal.message),
    )  # fmt: skip


def _as_given(given: Any, name: str, longest: int) -> str | None:
    """By which its sender knows the row."""
    value = given.get(name) if isinstance(given, dict) else None
    return storable(value[:longest]) if isinstance(value, str) else None


def _written(value: Any) -> str:
    return "\\N" if value is None else str(value).translate(_ESCAPED)
