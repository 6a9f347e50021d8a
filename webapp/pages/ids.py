"""Ids as they stand in addresses."""

from __future__ import annotations

from uuid import UUID

from billing.errors import BillNotFound, LineItemNotFound
from billing.identifiers import parse_id


def parse_bill_id(text: str) -> UUID:
    return parse_id(text, BillNotFound)


def parse_item_id(text: str) -> UUID:
    return parse_id(text, LineItemNotFound)
