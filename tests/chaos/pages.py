"""What a bill's pages show, read out of their HTML: for staff and for whoever has a customer's link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tests.support.agreement import Page
from tests.support.page import Element, parse

TAKEN_BACK, TAKES_BACK = "taken back", "takes back"
# How a line's tag begins: for staff, and for customers.
MARKS = {"reversed:": TAKEN_BACK, "reversal:": TAKES_BACK, "taken back": TAKEN_BACK, "takes back": TAKES_BACK}
STANDINGS: Mapping[str, str] = MappingProxyType(
    {"Open, still accruing": "open", "Closing": "closing", "Closed": "closed"}
)


@dataclass(frozen=True, slots=True)
class Line:
    """`mark`: TAKEN_BACK by another line, TAKES_BACK another line, or neither."""

    id: str
    description: str
    amount: str
    currency: str
    mark: str = ""


def of_staff(html: str, bill_id: str) -> dict[str, Any]:
    """Lines as they stand on the page: the newest first."""
    page = parse(html)
    header = page.id(f"bill-{bill_id}-header")
    number = "".join(one.text for one in header.with_class("number"))
    return {
        "status": header.with_class("status")[0].text.lower(),
        "number": number.removeprefix("No. ") or None,
        "items": page.id(f"bill-{bill_id}-item-count").text.replace(",", ""),
        **_amounts(html),
        "lines": _lines(page.id(f"bill-{bill_id}-items")),
    }


def of_customer(html: str, bill_id: str) -> dict[str, Any]:
    """Lines as they stand on the page: the first of them first. A bill without any has no table."""
    page = parse(html)
    standing = page.id(f"bill-{bill_id}-state").with_class("standing")[0].text
    lines = _lines(page.id("charged")) if page.has("charged") else []
    return {"status": STANDINGS[standing], **_amounts(html), "lines": lines}


def _amounts(html: str) -> dict[str, Any]:
    page = Page.parsed(html)
    return {"sums": page.amounts("subtotal"), "payable": page.amounts("payable")}


def _lines(table: Element) -> list[Line]:
    return [_line(row) for row in table.all("tr")]


def _line(row: Element) -> Line:
    what, money = row.with_class("what")[0], row.with_class("amount")[0].with_class("money")[0]
    crossed_out = "".join(one.text for one in what.all("s"))
    plain = " ".join("".join(part for part in what.parts if isinstance(part, str)).split())
    tag = "".join(one.text for one in row.with_class("tag"))
    mark = next((mark for beginning, mark in MARKS.items() if tag.startswith(beginning)), tag)
    assert bool(crossed_out) == (mark == TAKEN_BACK), f"a line is crossed out or not, and its tag says {tag!r}"
    value, figure = money.attributes["value"], money.with_class("figure")[0].text
    read = figure.replace(",", "").replace("\N{MINUS SIGN}", "-")
    assert read == value, f"a line shows {figure} to people and {value} to programs"
    id_ = row.attributes["id"].removeprefix("line-item-")
    return Line(id_, crossed_out or plain, value, money.with_class("code")[0].text, mark)
