"""Who is asking, in this request."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import g

from billing.origin import Actor, Origin
from webapp.identity.roles import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in. `account_id` owns the idempotency keys: an integration's, or the user's own."""

    account_id: UUID
    actor: Actor
    role: Role


def current_caller() -> Caller | None:
    """None on public routes, unless a signed-in browser asks for one."""
    caller: Caller | None = g.get("caller")
    return caller


def origin(idempotency_key: str | None = None) -> Origin:
    """Where a change in this request comes from. Only for routes that aren't public."""
    caller: Caller = g.caller
    return Origin(caller.actor, caller.account_id, g.request_id, idempotency_key)
