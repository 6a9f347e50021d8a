"""Events in words: what happened, and the detail that stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.ledger.events import Event
from webapp.formatting import figure, instant

Data = Mapping[str, Any]


def event_words(event: Event) -> tuple[str, str]:
    """A title and a detail (possibly empty). An unknown type is its own title."""
    title, detail = _WORDS.get(event.type, (event.type, _nothing))
    return title, detail(event.data)


def _nothing(_data: Data) -> str:
    return ""


def _totals(data: Data) -> str:
    """What the items came to, and how many there were if more than one."""
    amounts = ", ".join(f"{figure(Decimal(total))} {code}" for code, total in data.get("totals", {}).items())
    count = data.get("last_position", 0) - data.get("first_position", 0) + 1
    return amounts if count == 1 else f"{count:,} items, {amounts}"


def _period(data: Data) -> str:
    return f"until {_instant(data['period_end'])}"


def _moved(data: Data) -> str:
    return f"from {_instant(data['was'])} to {_instant(data['period_end'])}"


def _closed(data: Data) -> str:
    how = {"manual": "by hand", "period_end": "at the end of its period"}.get(data.get("close_reason", ""), "")
    return f"No. {data['number']}, {how}"


def _instant(text: str) -> str:
    return f"{instant(datetime.fromisoformat(text))} UTC"


_WORDS: dict[str, tuple[str, Callable[[Data], str]]] = {
    "bill.created": ("Opened", _period),
    "line_items.added": ("Added", _totals),
    "line_item.reversed": ("Reversed", _totals),
    "bill.period_changed": ("Period changed", _moved),
    "bill.close_requested": ("Closing requested", _nothing),
    "bill.closed": ("Closed", _closed),
    "customer.created": ("Registered", _nothing),
    "customer.updated": ("Edited", lambda data: ", ".join(data.get("fields", ())).replace("_", " ")),
}
