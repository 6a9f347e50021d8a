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

# By preference: a column with a later name is passed over when there is one with an earlier name.
_HEADINGS: Mapping[str, Sequence[Collection[str]]] = {
    "description": ({"description"}, {"line item", "item", "service", "product", "name"}, {"details"}, {"fee"}),
    "quantity": ({"quantity", "qty"}, {"units", "count"}),
    "unit_price": ({"unit price", "price per unit"}, {"price", "unit cost", "rate"}),
    "currency": ({"currency code"}, {"currency"}, {"ccy", "curr", "cur"}),
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
    delimiter = _delimiter(text)
    numbered = [(number, cells) for number, cells in enumerate(_cells(text, delimiter), 1) if any(cells)]
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
    point_may_group = _point_may_group([cells.get(name, "") for _, cells in named for name in _NUMBERS], delimiter)
    return [_row(number, cells, usual_currency, offered, point_may_group=point_may_group) for number, cells in named]


def _cells(text: str, delimiter: str) -> list[list[str]]:
    """Quoted as spreadsheets do; where quotes don't pair, they are text."""
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
    fitting = {field: _fitting(names, known) for field, known in _HEADINGS.items()}
    columns = {field: places[0] for field, places in fitting.items() if places}
    if len(columns) < 2 or any(character.isdigit() for name in names for character in name):
        return None
    for field, places in fitting.items():
        if len(places) > 1:
            headings = " and ".join(f"“{cells[place]}”" for place in places)
            raise InvalidArgument(f"{headings} could each be the {field.replace('_', ' ')}; keep one", field="text")
    missing = [field.replace("_", " ") for field in FIELDS[:3] if field not in columns]
    if missing:
        raise InvalidArgument(f"the heading names no {' and no '.join(missing)}", field="text")
    return columns


def _fitting(names: Sequence[str], known: Sequence[Collection[str]]) -> list[int]:
    """The places of the columns that fit a field best: several where they fit it equally well."""
    by_preference = ([place for place, name in enumerate(names) if name in equals] for equals in known)
    return next((places for places in by_preference if places), [])


def _named(cells: Sequence[str], columns: Mapping[str, int] | None) -> dict[str, str]:
    """The cells by field; without a heading in the usual order. More cells than that are under an empty name."""
    if columns is not None:
        return {field: cells[place] for field, place in columns.items() if place < len(cells)}
    named = dict(zip(FIELDS, cells, strict=False))
    return named | {"": str(len(cells))} if len(cells) > len(FIELDS) else named


def _row(
    number: int, cells: Mapping[str, str], usual_currency: str, offered: Collection[str], *, point_may_group: bool
) -> PastedRow:
    try:
        draft = _draft(cells, cells.get("currency") or usual_currency, offered, point_may_group=point_may_group)
    except InvalidArgument as refusal:
        return PastedRow(number, cells, None, refusal)
    return PastedRow(number, cells, draft, None)


def _draft(cells: Mapping[str, str], code: str, offered: Collection[str], *, point_may_group: bool) -> LineItemDraft:
    if "" in cells:
        raise InvalidArgument(f"this row has {cells['']} cells, not {len(FIELDS)}")
    if not code:
        raise InvalidArgument("currency is required", reason="required", field="currency")
    numbers = {name: plain_number(cells.get(name, ""), name, point_may_group=point_may_group) for name in _NUMBERS}
    return parse_draft({**cells, **numbers, "currency": code}, offered=offered)


def plain_number(text: str, field: str, *, point_may_group: bool = False) -> str:
    """The number in our notation, if it has one meaning. `point_may_group`: 1.840 may be thousands.

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
    if _GROUPED[decimal_sign].fullmatch(text) and (decimal_sign == "," or point_may_group):
        label, as_grouped = field.replace("_", " "), text.replace(decimal_sign, "")
        as_decimal = money.plain(Decimal(text.replace(",", ".")))
        raise InvalidArgument(f"{label} {text} could mean {as_grouped} or {as_decimal}; write which", field=field)
    return text.replace(",", ".")


def _point_may_group(numbers: Sequence[str], delimiter: str) -> bool:
    """Whether 1.840 among these may be thousands: where commas are decimal signs, or neither sign shows to be one.

    Between commas there are no decimal commas.
    """
    if any(_has_decimals(text, ",") for text in numbers):
        return True
    return delimiter != "," and not any(_has_decimals(text, ".") for text in numbers)


def _has_decimals(text: str, sign: str) -> bool:
    """After this sign: 12,5 and 1.234,5 have after a comma; 1,840 may have."""
    text, other_sign = _GROUPING.sub("", text), "." if sign == "," else ","
    return bool(re.fullmatch(f"[0-9{other_sign}]+[{sign}][0-9]+", text)) and not _GROUPED[sign].fullmatch(text)
