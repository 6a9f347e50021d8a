"""What of the event log others may know: declared for each type, field by field. What isn't declared stays inside.

Who made a change, in which request, and what they typed is nobody else's business: no declaration can bring it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from billing.clock import rfc3339
from billing.errors import InvalidArgument
from billing.ledger.events import Event

# What `EventId` writes, for whoever describes it.
EVENT_ID = "evt_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9]{1,18}(_[0-9]{1,9})?"
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
        "import.finished": {"state": "state", "added": "added", "replayed": "replayed", "rejected": "rejected"},
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
        "import.started",
        "webhook_endpoint.created",
        "webhook_endpoint.updated",
        "webhook_endpoint.secret_rotated",
        "webhook_endpoint.paused",
        "webhook_endpoint.resumed",
        "webhook_endpoint.redelivered",
        "webhook_endpoint.deleted",
    }
)


@dataclass(frozen=True, slots=True)
class EventId:
    """The same for ever, wherever the event is met: in the feed, in a webhook, in one that is sent again.

    After a restore a subject comes to the same versions again, with other contents: those are told apart by the epoch.
    """

    subject_id: UUID
    version: int
    epoch: int = 0

    def __str__(self) -> str:
        return f"evt_{self.subject_id}_{self.version}" + (f"_{self.epoch}" if self.epoch else "")


def event_id(subject_id: UUID, version: int, epoch: int = 0) -> str:
    return str(EventId(subject_id, version, epoch))


def parse_event_id(text: object) -> EventId:
    """Raises InvalidArgument."""
    if not isinstance(text, str) or re.fullmatch(EVENT_ID, text, re.ASCII) is None:
        raise InvalidArgument("event_id must be the id of an event", field="event_id")
    subject, *numbers = text.removeprefix("evt_").split("_")
    return EventId(UUID(subject), *map(int, numbers))


def projected(event: Event, customer_id: str | None, position: str, epoch: int = 0, *, test: bool) -> dict[str, Any]:
    """A public event as JSON has it. `customer_id` is the caller's own name for the customer, where there is one;
    `epoch` the one that it was written in; `test` says that it is of test mode."""
    declared = PUBLIC[event.type]
    return {
        "id": event_id(event.subject_id, event.version, epoch),
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
