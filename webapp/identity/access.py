"""The declared table of who may do what: every route says it, or the application doesn't start.

Pages ask for a role of staff, calls of the API for a scope of a key. `docs/access.md` is the table as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, request

from billing.errors import PermissionDenied, Unauthenticated
from webapp.identity.caller import Caller
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope

View = TypeVar("View", bound=Callable[..., Any])
Authenticate = Callable[..., Caller | None]

_DECLARATION = "access_declared"
_FOR_ITS_OWN = "open_for_its_own"
_FOR_ENROLMENT = "open_before_enrolment"
_BY_ITSELF = "asked_by_itself"
_CONFIRMED = "confirmed_by_the_ledger"
_FOR_BOUND_KEYS = "open_to_bound_keys"
PUBLIC = "public"
API = "api"
# What in an address says whose it is: who is bound to customers is let in to theirs.
SAYS_WHOSE = frozenset({"bill_id", "customer_id"})


class AccessUndeclared(Exception):
    """A route doesn't say who may use it."""


class SecondFactorNeeded(PermissionDenied):
    """This user must set up a second factor before anything else."""

    reason = "second_factor_needed"
    default_message = "a second factor must be set up first"


class ScopeMissing(PermissionDenied):
    """The API key holds, and wasn't given the scope that this call needs."""

    reason = "scope_missing"
    default_message = "this API key lacks a scope"


class KeyBound(PermissionDenied):
    """The API key is bound to customers, and this concerns others or all of them."""

    reason = "key_bound"
    default_message = "this API key is bound to customers, and this is not about one of them"


class Keys(Protocol):
    """Knows whose API key a request carries."""

    def authenticate(self, *, is_confirmed_later: bool) -> Caller | None: ...

    def confirm(self) -> Caller | None:
        """Looks it up, whatever is remembered."""

    def refuse_others(self, caller: Caller, address: Mapping[str, Any]) -> None:
        """Raises as for what isn't there when the address leads to somebody to whom the key isn't bound."""


def allow(needed: Role | Scope, *, its_own: Scope | None = None) -> Callable[[View], View]:
    """Declares what the route asks for: a role of staff, and those that include it, or a scope of an API key. Stands
    next to the route.

    `its_own` is another scope that suffices for what the key's own account made: the view keeps to `only_of_account`.
    """

    def declare(view: View) -> View:
        setattr(view, _DECLARATION, needed)
        setattr(view, _FOR_ITS_OWN, its_own)
        return view

    return declare


def public(view: View) -> View:
    """Declares that everybody may use the route."""
    setattr(view, _DECLARATION, PUBLIC)
    return view


def open_before_enrolment(view: View) -> View:
    """Lets in also who has yet to set up the second factor that they must have."""
    setattr(view, _FOR_ENROLMENT, True)
    return view


def asked_by_itself(view: View) -> View:
    """Open pages ask for this without anybody there: it keeps no session from ending."""
    setattr(view, _BY_ITSELF, True)
    return view


def confirmed_by_the_ledger(view: View) -> View:
    """Lets in API keys that this process remembers: the change itself looks whether the key still holds.

    Whatever answers without that change calls `confirm` first; refusals of the API do so by themselves.
    """
    setattr(view, _CONFIRMED, True)
    return view


def open_to_bound_keys(view: View) -> View:
    """Lets in API keys that are bound to customers though the address says nothing of whose it is: the view keeps to
    `bound_customers` itself, or tells nothing about anybody. Without it they are refused there."""
    setattr(view, _FOR_BOUND_KEYS, True)
    return view


def declared(app: Flask, endpoint: str) -> Role | Scope | str | None:
    """A role, a scope, PUBLIC, or None for a route that declares nothing."""
    return getattr(app.view_functions[endpoint], _DECLARATION, None)


def declared_for_its_own(app: Flask, endpoint: str) -> Scope | None:
    """The scope that suffices there for what the key's own account made, if one does."""
    return getattr(app.view_functions[endpoint], _FOR_ITS_OWN, None)


def takes_bound_keys(app: Flask, endpoint: str) -> bool:
    """Whether keys that are bound to customers are let in there, to what is their customers'."""
    arguments = {name for rule in app.url_map.iter_rules(endpoint) for name in rule.arguments}
    return hasattr(app.view_functions[endpoint], _FOR_BOUND_KEYS) or not SAYS_WHOSE.isdisjoint(arguments)


def refuse_undeclared(app: Flask) -> None:
    """Raises AccessUndeclared, naming every route that forgot; one of the API can declare a scope only, or PUBLIC."""
    endpoints = sorted({rule.endpoint for rule in app.url_map.iter_rules()})
    forgot = [endpoint for endpoint in endpoints if not _is_declared(endpoint, declared(app, endpoint))]
    if forgot:
        raise AccessUndeclared(f"these routes don't declare who may use them: {', '.join(forgot)}")


def _is_declared(endpoint: str, needed: Role | Scope | str | None) -> bool:
    if needed == PUBLIC:
        return True
    return isinstance(needed, Scope if endpoint.startswith(f"{API}.") else Role)


def guard(app: Flask, *, keys: Keys, pages: Authenticate) -> None:
    """Lets in who may come in, before anything else looks at the request.

    `pages` takes `is_sighting`, whether somebody is there.
    """

    app.extensions["api_keys"] = keys

    @app.before_request
    def admit() -> None:
        if request.endpoint is None or request.method == "OPTIONS":
            return  # nothing will run: no such route, or the list of its methods
        needed, view = declared(current_app, request.endpoint), current_app.view_functions[request.endpoint]
        if needed == PUBLIC:
            return
        if request.blueprint == API:
            found = keys.authenticate(is_confirmed_later=hasattr(view, _CONFIRMED))
            g.caller = _admitted(found, needed, getattr(view, _FOR_ITS_OWN, None))
            _keep_to_customers(g.caller, keys)
        else:
            g.caller = _admitted(pages(is_sighting=not hasattr(view, _BY_ITSELF)), needed)
        if g.caller.must_enrol and not hasattr(view, _FOR_ENROLMENT):
            raise SecondFactorNeeded


def confirm() -> None:
    """Looks up a key that was let in on what was remembered. Raises Unauthenticated when it was revoked since."""
    caller: Caller | None = g.get("caller")
    if caller is not None and caller.key_to_confirm is not None:
        g.pop("caller")
        keys: Keys = current_app.extensions["api_keys"]
        found = keys.confirm()
        if found is None:
            raise Unauthenticated
        g.caller = found


def only_of_account() -> UUID | None:
    """Whose things alone may be shown in this request: of a key that has no more than the scope for its own. None for
    those who may see everybody's."""
    caller: Caller = g.caller
    needed = declared(current_app, request.endpoint or "")
    return None if isinstance(needed, Scope) and caller.may(needed) else caller.account_id


def admit_again() -> None:
    """For an answer of the API that was long in coming. Raises Unauthenticated when the key was revoked meanwhile."""
    keys: Keys = current_app.extensions["api_keys"]
    g.caller = _admitted(keys.confirm(), declared(current_app, request.endpoint or ""))


def _admitted(caller: Caller | None, needed: Role | Scope | str | None, its_own: Scope | None = None) -> Caller:
    if caller is None:
        raise Unauthenticated
    if its_own is not None and caller.may(its_own):
        return caller
    if isinstance(needed, Scope) and not caller.may(needed):
        raise ScopeMissing(f"this API key lacks the scope {needed}")
    if not isinstance(needed, Role | Scope) or not caller.may(needed):
        raise PermissionDenied
    return caller


def _keep_to_customers(caller: Caller, keys: Keys) -> None:
    assert request.endpoint is not None
    if caller.customers is None:
        return
    if not takes_bound_keys(current_app, request.endpoint):
        raise KeyBound
    keys.refuse_others(caller, request.view_args or {})
