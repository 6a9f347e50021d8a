"""What of the event log others may know: declared for each type, field by field. What isn't declared stays inside.

Who made a change, in which request, and what they typed is nobody else's business: no declaration can bring it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from billing.clock import rfc3339
from billing.errors import InvalidArgument
from billing.ledger.events import Event

_EVENT_ID = re.compile(r"evt_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([0-9]{1,18})", re.ASCII)
_PERIOD = {"period_start": "period_start", "period_end": "period_end"}
_ADDED = {"first_position": "first_position", "last_position": "last_position", "totals": "totals"}
_RATES = {"provider": "provider"}

# By type, which stored field goes out under which name.
PUBLIC: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "bill.created": _PERIOD,
        "line_items.added": _ADDED,
        "line_item.reversed": _ADDED,
        "bill.period_changed": {**_PERIOD, "was": "previous_period_end"},
        "bill.clock_advanced": {"now": "now", "was": "previous"},
        "bill.close_requested": {"cut_off": "effective_at"},
        "bill.closed": {
            "number": "number",
            "close_reason": "close_reason",
            "rate_snapshot_id": "rate_snapshot_id",
        },
        "customer.created": {},
        "customer.updated": {"fields": "fields"},
        "rates.refreshed": _RATES,
        "rates.accepted": _RATES,
        "currencies.changed": {"offered": "offered", "withdrawn": "withdrawn"},
    }
)
# Who looks after this installation, and how one gets into it.
PRIVATE = frozenset(
    {
        "seller.changed",
        "link.created",
        "link.revoked",
        "api_key.created",
        "api_key.revoked",
        "user.created",
        "user.role_changed",
        "user.disabled",
        "user.enabled",
        "user.password_changed",
        "user.password_reset",
        "user.linked_to_provider",
        "user.second_factor_added",
        "user.second_factor_removed",
        "user.recovery_codes_replaced",
        "user.recovery_code_used",
        "webhook_endpoint.created",
        "webhook_endpoint.updated",
        "webhook_endpoint.secret_rotated",
        "webhook_endpoint.paused",
        "webhook_endpoint.resumed",
        "webhook_endpoint.redelivered",
        "webhook_endpoint.deleted",
    }
)


def event_id(subject_id: UUID, version: int) -> str:
    """The same for ever, wherever the event is met: in the feed, in a webhook, in one that is sent again."""
    return f"evt_{subject_id}_{version}"


def parse_event_id(text: object) -> tuple[UUID, int]:
    """The subject and its version. Raises InvalidArgument."""
    match = _EVENT_ID.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidArgument("event_id must be the id of an event", field="event_id")
    return UUID(match[1]), int(match[2])


def projected(event: Event, customer_id: str | None, position: str, *, test: bool) -> dict[str, Any]:
    """A public event as JSON has it. `customer_id` is the caller's own name for the customer, where there is one;
    `test` says that it is of test mode."""
    declared = PUBLIC[event.type]
    return {
        "id": event_id(event.subject_id, event.version),
        "type": event.type,
        "occurred_at": rfc3339(event.occurred_at),
        "version": event.version,
        "subject": _subject(event, customer_id),
        "data": {name: event.data[stored] for stored, name in declared.items() if stored in event.data},
        "position": position,
        "test": test,
    }


def _subject(event: Event, customer_id: str | None) -> dict[str, Any]:
    if event.subject_type == "customer":
        # Their own name for it is its id in all of the API.
        return {"type": "customer", "id": customer_id}
    subject = {"type": event.subject_type, "id": str(event.subject_id)}
    return subject | ({"customer_id": customer_id} if event.subject_type == "bill" else {})
