"""Where a change comes from: who asked, in which request, under which idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring_ascii
from uuid import UUID


class ActorKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    WORKFLOW = "workflow"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the event log tells it."""

    kind: ActorKind
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Origin:
    """One request for a change.

    `account_id` owns idempotency keys: API keys that replace each other share an account. `key_to_confirm` is an API
    key that was let in on what a process remembers of it: adding a line item looks whether it still holds.
    """

    actor: Actor
    account_id: UUID
    request_id: str
    idempotency_key: str | None = None
    key_to_confirm: UUID | None = None


BILLING_ACCOUNT = UUID(int=0)


def by_the_system(request_id: str) -> Origin:
    """The origin of what nobody asked for: the end of a period, a refresh."""
    return Origin(Actor(ActorKind.SYSTEM, "billing", "Pave Billing"), BILLING_ACCOUNT, request_id)


def fingerprint(*values: str | None) -> bytes:
    """32 bytes that tell two sets of normalised values apart."""
    return hashlib.sha256(ascii_json(values).encode()).digest()


def ascii_json(values: Iterable[str | None]) -> str:
    """As `json.dumps` writes a list, in a third of the time."""
    return f"[{', '.join(['null' if value is None else encode_basestring_ascii(value) for value in values])}]"
