"""Identifiers: UUIDv7, so that they sort by the time they were made."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from billing.errors import BillingError


def new_id() -> UUID:
    return uuid7()


def parse_id(text: str, not_found: type[BillingError]) -> UUID:
    """An id as it stands in an address; whatever is none can't be found either."""
    try:
        parsed = UUID(text)
    except ValueError:
        raise not_found from None
    if str(parsed) != text.lower():
        raise not_found
    return parsed
