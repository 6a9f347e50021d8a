"""Rows copied out of a spreadsheet: cells told apart, a heading recognised, numbers read where they have one meaning.

A number that could mean two things, such as 1,840, is refused rather than guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO

from billing import money
from billing.bill import MOST_ITEMS_IN_A_CALL, LineItemDraft
from billing.errors import InvalidArgument
from webapp.drafts import FIELDS, parse_draft

_HEADINGS = {
    "description": {"description", "item", "line item", "name", "service", "product", "fee", "details"},
    "quantity": {"quantity", "qty", "units", "count", "number"},
    "unit_price": {"unit price", "price", "unit cost", "price per unit", "rate"},
    "currency": {"currency", "currency code", "ccy", "curr", "cur"},
}
_NUMBERS = ("quantity", "unit_price")
# Blanks that spreadsheets put between thousands, and the apostrophe of Switzerland.
_BLANKS = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}'\N{RIGHT SINGLE QUOTATION MARK}"
_GROUPING = re.compile(f"(?<=[0-9])[{_BLANKS}](?=[0-9]{{3}}(?![0-9]))")
_GROUPED = {",": re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+"), ".": re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{3})+")}


@dataclass(frozen=True, slots=True)
class PastedRow:
    """One row: as it came, and the line that it is or why it can't be one. `number` counts from 1, headings too."""

    number: int
    cells: Mapping[str, str]
    draft: LineItemDraft | None
    refusal: InvalidArgument | None


def parse_rows(text: str, *, usual_currency: str, offered: Collection[str]) -> list[PastedRow]:
    """`usual_currency`, if any, is that of rows without one. Raises InvalidArgument when nothing can be read at all."""
    numbered = [(number, cells) for number, cells in enumerate(_cells(text), 1) if any(cells)]
    if not numbered:
        raise InvalidArgument("paste the rows first", reason="required", field="text")
    columns = _columns(numbered[0][1])
    rows = numbered if columns is None else numbered[1:]
    if not rows:
        raise InvalidArgument("there is a heading and no row below it", field="text")
    if len(rows) > MOST_ITEMS_IN_A_CALL:
        raise InvalidArgument(
            f"these are {len(rows):,} rows; paste at most {MOST_ITEMS_IN_A_CALL:,} at once", field="text"
        )
    named = [(number, _named(cells, columns)) for number, cells in rows]
    with_comma = any(_has_decimal_comma(cells.get(name, "")) for _, cells in named for name in _NUMBERS)
    return [_row(number, cells, usual_currency, offered, with_comma=with_comma) for number, cells in named]


def _cells(text: str) -> list[list[str]]:
    """Quoted as spreadsheets do; where quotes don't pair, they are text."""
    delimiter = _delimiter(text)
    try:
        found = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        found = [line.split(delimiter) for line in text.splitlines()]
    return [_trimmed([cell.strip() for cell in cells]) for cells in found]


def _delimiter(text: str) -> str:
    """Tabs are what spreadsheets copy; semicolons what they export where the comma is a decimal sign."""
    return next((delimiter for delimiter in "\t;" if delimiter in text), ",")


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _columns(cells: Sequence[str]) -> dict[str, int] | None:
    """Where each value stands, if this row is a heading. Columns with other headings, such as totals, are left out."""
    names = [" ".join(re.split(r"[\s_-]+", cell.casefold())) for cell in cells]
    found = {
        field: next((place for place, name in enumerate(names) if name in known), None)
        for field, known in _HEADINGS.items()
    }
    columns = {field: place for field, place in found.items() if place is not None}
    if len(columns) < 2 or any(character.isdigit() for name in names for character in name):
        return None
    missing = [field.replace("_", " ") for field in FIELDS[:3] if field not in columns]
    if missing:
        raise InvalidArgument(f"the heading names no {' and no '.join(missing)}", field="text")
    return columns


def _named(cells: Sequence[str], columns: Mapping[str, int] | None) -> dict[str, str]:
    """The cells by field; without a heading in the usual order. More cells than that are under an empty name."""
    if columns is not None:
        return {field: cells[place] for field, place in columns.items() if place < len(cells)}
    named = dict(zip(FIELDS, cells, strict=False))
    return named | {"": str(len(cells))} if len(cells) > len(FIELDS) else named


def _row(
    number: int, cells: Mapping[str, str], usual_currency: str, offered: Collection[str], *, with_comma: bool
) -> PastedRow:
    try:
        draft = _draft(cells, cells.get("currency") or usual_currency, offered, with_comma=with_comma)
    except InvalidArgument as refusal:
        return PastedRow(number, cells, None, refusal)
    return PastedRow(number, cells, draft, None)


def _draft(cells: Mapping[str, str], code: str, offered: Collection[str], *, with_comma: bool) -> LineItemDraft:
    if "" in cells:
        raise InvalidArgument(f"this row has {cells['']} cells, not {len(FIELDS)}")
    if not code:
        raise InvalidArgument("currency is required", reason="required", field="currency")
    numbers = {name: plain_number(cells.get(name, ""), name, with_comma=with_comma) for name in _NUMBERS}
    return parse_draft({**cells, **numbers, "currency": code}, offered=offered)


def plain_number(text: str, field: str, *, with_comma: bool = False) -> str:
    """The number in our notation, if it has one meaning. `with_comma`: others beside it have decimal commas.

    What isn't a number at all stays as it is, for whoever parses it to refuse.
    """
    text = _GROUPING.sub("", text)
    decimal_sign = max(",.", key=text.rfind)
    other_sign = "." if decimal_sign == "," else ","
    if other_sign in text:
        whole, _, decimals = text.rpartition(decimal_sign)
        return f"{whole.replace(other_sign, '')}.{decimals}" if _GROUPED[other_sign].fullmatch(whole) else text
    if text.count(decimal_sign) > 1:
        return text.replace(decimal_sign, "") if _GROUPED[decimal_sign].fullmatch(text) else text
    if _GROUPED[decimal_sign].fullmatch(text) and (decimal_sign == "," or with_comma):
        label, as_grouped = field.replace("_", " "), text.replace(decimal_sign, "")
        as_decimal = money.plain(Decimal(text.replace(",", ".")))
        raise InvalidArgument(f"{label} {text} could mean {as_grouped} or {as_decimal}; write which", field=field)
    return text.replace(",", ".")


def _has_decimal_comma(text: str) -> bool:
    """12,5 has; 1,840 may have."""
    text = _GROUPING.sub("", text)
    return bool(re.fullmatch(r"[0-9.]+,[0-9]+", text)) and not _GROUPED[","].fullmatch(text)
