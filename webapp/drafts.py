"""A line item as it came, from JSON or from a form."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from billing.bill import LineItemDraft
from billing.errors import InvalidArgument

FIELDS = ("description", "quantity", "unit_price", "currency")
# What programs may say beside them.
REFERENCE = ("source", "reference")
_NUMBERS = ("quantity", "unit_price")


def parse_draft(found: Mapping[str, object], *, offered: Collection[str]) -> LineItemDraft:
    """Raises InvalidArgument naming the first field that can't be right; a number left out is said to be required."""
    try:
        return LineItemDraft.parse(*(found.get(name) for name in (*FIELDS, *REFERENCE)), offered=offered)
    except InvalidArgument as refusal:
        name = refusal.field
        if name not in _NUMBERS or found.get(name) not in (None, ""):
            raise
        raise InvalidArgument(f"{name} is required", reason="required", field=name) from None
