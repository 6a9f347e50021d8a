"""The rows of a file: NDJSON or CSV, one at a time, each what it asks for or why it can't be right.

What a row of a batch may be, a row of a file may be, and nothing else: both are read by the same function.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

from billing.errors import BillingError, BillNotFound, InvalidArgument, MalformedRequest
from billing.identifiers import parse_id
from billing.ledger.line_items import Entry
from billing.text import storable
from webapp.api.batch_rows import parse_row
from webapp.api.body import decoded
from webapp.api.contract.fields import LONGEST_BODY, ROW

BILL_ID = "bill_id"
COLUMNS = (*(field.name for field in ROW), BILL_ID)
REQUIRED = tuple(field.name for field in ROW if field.required)
_FIGURES = ("quantity", "unit_price")
_SHOWN = 200

NO_ROWS = InvalidArgument("the file has no rows", reason="no_rows")
NOT_UTF8 = MalformedRequest("the file is not text in UTF-8")


@dataclass(frozen=True, slots=True)
class FileRow:
    """`number` counts from 1; `line` says where it begins in the file, and `text` how."""

    number: int
    line: int
    given: Any
    text: str
    bill_id: UUID | None
    entry: Entry | None
    refusal: BillingError | None


# Where it begins, how, and what it holds or why that can't be read.
_Read = tuple[int, str, Any]


def rows_of(content: BinaryIO, format_: str, codes: Collection[str], bill_id: UUID | None) -> Iterator[FileRow]:
    """`bill_id`: that of rows that don't name one. Raises InvalidArgument for a file that can't be right at all."""
    read = _ndjson(content) if format_ == "ndjson" else _csv(content)
    for number, (line, text, given) in enumerate(read, 1):
        shown = storable(text[:_SHOWN])
        if isinstance(given, BillingError):
            yield FileRow(number, line, None, shown, bill_id, None, given)
            continue
        try:
            of_bill = _bill_id(given, bill_id)
        except BillingError as refusal:
            yield FileRow(number, line, given, shown, None, None, refusal)
            continue
        bare = {name: value for name, value in given.items() if name != BILL_ID} if isinstance(given, dict) else given
        row = parse_row(bare, codes)
        yield FileRow(number, line, given, shown, of_bill, row.entry, row.refusal)


def _bill_id(given: Any, of_all: UUID | None) -> UUID | None:
    """Raises InvalidArgument, and BillNotFound for what is no id."""
    value = given.get(BILL_ID) if isinstance(given, dict) else None
    if value is None:
        if of_all is None and isinstance(given, dict):
            raise InvalidArgument("bill_id is required", reason="required", field=BILL_ID)
        return of_all
    if not isinstance(value, str):
        raise InvalidArgument("bill_id must be text", field=BILL_ID)
    try:
        found = parse_id(value, BillNotFound)
    except BillNotFound:
        raise BillNotFound(field=BILL_ID) from None
    if of_all is not None and found != of_all:
        raise InvalidArgument("bill_id is another than that of the import", field=BILL_ID)
    return found


def _ndjson(content: BinaryIO) -> Iterator[_Read]:
    line = 0
    while raw := content.readline(LONGEST_BODY + 1):
        line += 1
        if len(raw) > LONGEST_BODY:
            while raw and not raw.endswith(b"\n"):
                raw = content.readline(LONGEST_BODY)
            yield line, "", InvalidArgument(f"a row cannot be longer than {LONGEST_BODY} bytes")
            continue
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            text = raw.decode("utf-8").strip(" \t\r\n")
        except UnicodeDecodeError:
            raise MalformedRequest(f"{NOT_UTF8.message}: line {line}") from None
        if text:
            yield line, text, _value(text)


def _value(text: str) -> Any:
    try:
        return decoded(text)
    except MalformedRequest as refusal:
        if refusal.reason == MalformedRequest.reason and refusal.message == MalformedRequest.default_message:
            return MalformedRequest("the row is not valid JSON")
        return refusal


def _csv(content: BinaryIO) -> Iterator[_Read]:
    lines = _Lines(content)
    try:
        delimiter = _delimiter(lines)
        content.seek(0)
        lines = _Lines(content)
        rows = _cells(lines, delimiter)
        columns = _columns(next((cells for _, cells in rows if any(cells)), []))
        for begins, cells in rows:
            yield begins, delimiter.join(cells), _named(cells, columns)
    except UnicodeDecodeError:
        raise NOT_UTF8 from None
    except csv.Error as error:
        raise MalformedRequest(f"line {lines.count} is not CSV: {error}") from None


def _delimiter(lines: _Lines) -> str:
    """The commoner one in the heading: names of columns have neither in them."""
    for line in lines:
        if line.strip():
            return max(",;", key=line.count)
        lines.begin_row()
    return ","


def _cells(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Of each row, with the line on which it begins; an empty line is none."""
    begins = 1
    for cells in csv.reader(lines, delimiter=delimiter, strict=True):
        if cells:
            yield begins, cells
        begins = lines.count + 1
        lines.begin_row()


class _Lines:
    """Of text, counted. No row may be longer than one line may be, however many it has: a quoted cell goes on over
    their ends."""

    def __init__(self, content: BinaryIO) -> None:
        self._text = io.TextIOWrapper(io.BufferedReader(_Kept(content)), encoding="utf-8-sig", newline="")
        self.count = 0
        self._length = 0

    def begin_row(self) -> None:
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_BODY + 1):
            self.count += 1
            self._length += len(line)
            if self._length > LONGEST_BODY:
                raise csv.Error("it is too long")
            yield line


class _Kept(io.RawIOBase):
    """Outlives what reads it."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._content.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _columns(heading: Sequence[str]) -> list[str]:
    """Raises InvalidArgument, naming the column."""
    if not heading:
        raise NO_ROWS
    names = ["_".join(cell.strip().casefold().replace("_", " ").split()) for cell in heading]
    for name, cell in zip(names, heading, strict=True):
        if name not in COLUMNS:
            raise InvalidArgument(f"unknown column {cell[:100]!r}", reason="unknown_field", field=cell[:100])
        if names.count(name) > 1:
            raise InvalidArgument(f"the column {name} is there twice", reason="duplicate_field", field=name)
    for name in REQUIRED:
        if name not in names:
            raise InvalidArgument(f"the heading names no {name}", reason="required", field=name)
    return names


def _named(cells: Sequence[str], columns: Sequence[str]) -> Any:
    """As an object of JSON would have it: an empty cell is no value."""
    if len(cells) != len(columns):
        return MalformedRequest(f"this row has {len(cells)} cells, not {len(columns)}")
    named = {name: cell for name, cell in zip(columns, cells, strict=True) if cell or name in REQUIRED}
    for name in _FIGURES:
        if "," in named[name]:
            message = f"{name} must have a decimal point, and nothing between thousands: {named[name][:40]} has a comma"
            return InvalidArgument(message, field=name)
    return named
