"""Who is asking, in this request."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import g

from billing.origin import Actor, Origin
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in: staff with a role, or an API key with scopes. `account_id` owns the idempotency keys:
    an integration's, or the user's own.

    `session_id` is that of a browser. Who `must_enrol` may do nothing but set up a second factor. `key_to_confirm` is
    an API key that this process remembers: whether it still holds is to be asked before anything comes of it.
    `customers` are those that an API key is bound to, None where it is bound to none in particular. `test`: a key of
    test mode, which knows of nothing live.
    """

    account_id: UUID
    actor: Actor
    role: Role | None = None
    session_id: UUID | None = None
    must_enrol: bool = False
    key_to_confirm: UUID | None = None
    scopes: frozenset[Scope] = frozenset()
    customers: frozenset[UUID] | None = None
    test: bool = False

    def may(self, needed: Role | Scope) -> bool:
        if isinstance(needed, Scope):
            return needed in self.scopes
        return self.role is not None and self.role.includes(needed)


def current_caller() -> Caller | None:
    """None on public routes, unless a signed-in browser asks for one."""
    caller: Caller | None = g.get("caller")
    return caller


def bound_customers() -> frozenset[UUID] | None:
    """Those that lists are to be kept to; None for whoever isn't bound."""
    caller = current_caller()
    return caller.customers if caller is not None else None


def account_id() -> UUID:
    """Whose calls count together. Only for routes that aren't public."""
    caller: Caller = g.caller
    return caller.account_id


def origin(idempotency_key: str | None = None) -> Origin:
    """Where a change in this request comes from. Only for routes that aren't public."""
    return as_origin(g.caller, idempotency_key)


def as_origin(caller: Caller, idempotency_key: str | None = None) -> Origin:
    """Likewise for a caller whom a public route found."""
    return Origin(caller.actor, caller.account_id, g.request_id, idempotency_key, caller.key_to_confirm)
