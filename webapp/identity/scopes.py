"""What an API key opens: each call of the API asks for one scope, and none includes another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from billing.errors import InvalidArgument
from webapp.identity.roles import Role


class Scope(StrEnum):
    """`write` doesn't include `read`; what a change answers with shows what was changed."""

    BILLS_READ = "bills:read"
    BILLS_WRITE = "bills:write"
    BILLS_CLOSE = "bills:close"
    ITEMS_WRITE = "items:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    RATES_READ = "rates:read"
    RATES_WRITE = "rates:write"
    EVENTS_READ = "events:read"
    WEBHOOKS = "webhooks"


# In the words of the page on which they are chosen.
MEANING: Mapping[Scope, str] = {
    Scope.BILLS_READ: "Read bills and their line items",
    Scope.BILLS_WRITE: "Open bills",
    Scope.BILLS_CLOSE: "Close bills, move the end of their period, advance the clocks of test bills",
    Scope.ITEMS_WRITE: "Add line items, singly or by files, and take them back",
    Scope.CUSTOMERS_READ: "Read customers, with names and addresses",
    Scope.CUSTOMERS_WRITE: "Register and edit customers",
    Scope.RATES_READ: "Read rates and the currencies offered",
    Scope.RATES_WRITE: "Accept rates in quarantine and decide about currencies",
    Scope.EVENTS_READ: "Read events",
    Scope.WEBHOOKS: "Manage webhook endpoints",
}

# What changes something that live bills share.
LIVE_ONLY = frozenset({Scope.RATES_WRITE})

_VIEWER = frozenset({Scope.BILLS_READ, Scope.CUSTOMERS_READ, Scope.RATES_READ, Scope.EVENTS_READ})
_OPERATOR = _VIEWER | {Scope.BILLS_WRITE, Scope.BILLS_CLOSE, Scope.ITEMS_WRITE, Scope.CUSTOMERS_WRITE}

# What a member of staff with this role may do, as far as the API offers it; also what keys had before they had scopes.
OF_ROLE: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: frozenset(Scope),
}


def parse(texts: Iterable[str]) -> frozenset[Scope]:
    """Raises InvalidArgument for an unknown one, and for none at all."""
    try:
        scopes = frozenset(map(Scope, texts))
    except ValueError:
        raise InvalidArgument("scope must be one of those offered", field="scopes") from None
    if not scopes:
        raise InvalidArgument("a key needs at least one scope", reason="required", field="scopes")
    return scopes


def role_with(scopes: Collection[Scope]) -> Role | None:
    """The role that has exactly these, if one has."""
    return next((role for role, its in OF_ROLE.items() if its == frozenset(scopes)), None)


def in_order(scopes: Collection[Scope]) -> list[Scope]:
    return [scope for scope in Scope if scope in scopes]
