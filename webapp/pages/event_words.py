"""Events in words: what happened, and the detail that stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.bill import TEST_NUMBER
from billing.ledger.events import Event
from webapp.formatting import figure, instant
from webapp.modes import in_test_mode

Data = Mapping[str, Any]


def event_words(event: Event) -> tuple[str, str]:
    """A title and a detail (possibly empty). An unknown type is its own title."""
    title, detail = _WORDS.get(event.type, (event.type, _nothing))
    return title, detail(event.data)


def _nothing(_data: Data) -> str:
    return ""


def _totals(data: Data) -> str:
    """What the items came to, and how many there were if more than one."""
    totals = data.get("totals", {}).items()
    amounts = ", ".join(f"{figure(Decimal(total))}\N{NO-BREAK SPACE}{code}" for code, total in totals)
    count = data.get("last_position", 0) - data.get("first_position", 0) + 1
    return amounts if count == 1 else f"{count:,} items, {amounts}"


def _period(data: Data) -> str:
    return f"until {_instant(data['period_end'])}"


def _moved(data: Data) -> str:
    return f"from {_instant(data['was'])} to {_instant(data['period_end'])}"


def _closed(data: Data) -> str:
    how = {"manual": "by hand", "period_end": "at the end of its period"}.get(data.get("close_reason", ""), "")
    return f"No. {TEST_NUMBER if in_test_mode() else ''}{data['number']}, {how}"


def _currencies(data: Data) -> str:
    """What came and what went."""
    words = {"now offered": data.get("offered", ()), "no longer offered": data.get("withdrawn", ())}
    return "; ".join(f"{', '.join(codes)} {what}" for what, codes in words.items() if codes)


def _opens(data: Data) -> str:
    """Before keys had scopes, they had a role."""
    if "scopes" not in data:
        return f"as {data['role']}"
    bound = len(data.get("customers", ()))
    customers = f", for {bound} customer{'s' if bound > 1 else ''} alone" if bound else ""
    return f"for {', '.join(data['scopes'])}{customers}"


def _imported(data: Data) -> str:
    counts = ", ".join(f"{data[what]:,} {what}" for what in ("added", "replayed", "rejected") if data[what])
    return f"cancelled, {counts}" if data["state"] == "cancelled" else counts


def _instant(text: str) -> str:
    return f"{instant(datetime.fromisoformat(text))} UTC"


_WORDS: dict[str, tuple[str, Callable[[Data], str]]] = {
    "bill.created": ("Opened", _period),
    "line_items.added": ("Added", _totals),
    "line_item.reversed": ("Reversed", _totals),
    "bill.period_changed": ("Period changed", _moved),
    "bill.clock_advanced": ("Clock advanced", lambda data: f"to {_instant(data['now'])}"),
    "bill.close_requested": ("Closing requested", _nothing),
    "bill.closed": ("Closed", _closed),
    "seller.changed": ("Changed", lambda data: ", ".join(data.get("fields", ())).replace("_", " ")),
    "currencies.changed": ("Changed", _currencies),
    "link.created": ("Shared", _nothing),
    "link.revoked": ("Link revoked", _nothing),
    "customer.created": ("Registered", _nothing),
    "customer.updated": ("Edited", lambda data: ", ".join(data.get("fields", ())).replace("_", " ")),
    "user.created": ("Added", lambda data: f"as {data['role']}{', by the provider' if data['by_provider'] else ''}"),
    "user.role_changed": ("Role changed", lambda data: f"from {data['was']} to {data['role']}"),
    "user.disabled": ("Disabled", _nothing),
    "user.enabled": ("Enabled again", _nothing),
    "user.password_changed": ("Password changed", _nothing),
    "user.password_reset": ("Password reset", _nothing),
    "user.linked_to_provider": ("Signed in by the provider for the first time", _nothing),
    "user.second_factor_added": ("Second factor set up", _nothing),
    "user.second_factor_removed": ("Second factor removed", _nothing),
    "user.recovery_codes_replaced": ("New recovery codes made", _nothing),
    "user.recovery_code_used": ("Signed in with a recovery code", _nothing),
    "api_key.created": ("Created", _opens),
    "api_key.revoked": ("Revoked", _nothing),
    "import.started": ("Import started", lambda data: f"{data['rows']:,} rows of {data['format'].upper()}"),
    "import.finished": ("Import over", _imported),
    "webhook_endpoint.created": ("Created", lambda data: f"at {data['host']}"),
    "webhook_endpoint.updated": ("Changed", lambda data: ", ".join(data.get("fields", ()))),
    "webhook_endpoint.secret_rotated": ("Secret rotated", _nothing),
    "webhook_endpoint.paused": ("Paused", lambda data: "nothing arrived" if data.get("reason") == "failing" else ""),
    "webhook_endpoint.resumed": ("Resumed", _nothing),
    "webhook_endpoint.redelivered": ("Sent again", lambda data: f"{data['events']:,} events"),
    "webhook_endpoint.deleted": ("Deleted", lambda data: f"at {data['host']}"),
}
# Those that there are words for.
EVENT_TYPES = tuple(_WORDS)
