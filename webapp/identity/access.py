"""The declared table of who may do what: every route says it, or the application doesn't start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from billing.errors import PermissionDenied, Unauthenticated
from webapp.identity.caller import Caller
from webapp.identity.roles import Role

View = TypeVar("View", bound=Callable[..., Any])
Authenticate = Callable[..., Caller | None]

_DECLARATION = "access_declared"
_FOR_ENROLMENT = "open_before_enrolment"
_BY_ITSELF = "asked_by_itself"
_CONFIRMED = "confirmed_by_the_ledger"
PUBLIC = "public"


class AccessUndeclared(Exception):
    """A route doesn't say who may use it."""


class SecondFactorNeeded(PermissionDenied):
    """This user must set up a second factor before anything else."""

    reason = "second_factor_needed"
    default_message = "a second factor must be set up first"


def allow(role: Role) -> Callable[[View], View]:
    """Declares that this role, and those that include it, may use the route. Stands next to the route."""

    def declare(view: View) -> View:
        setattr(view, _DECLARATION, role)
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


def declared(app: Flask, endpoint: str) -> Role | str | None:
    """A role, PUBLIC, or None for a route that declares nothing."""
    return getattr(app.view_functions[endpoint], _DECLARATION, None)


def refuse_undeclared(app: Flask) -> None:
    """Raises AccessUndeclared, naming every route that forgot."""
    forgot = sorted({rule.endpoint for rule in app.url_map.iter_rules() if declared(app, rule.endpoint) is None})
    if forgot:
        raise AccessUndeclared(f"these routes don't declare who may use them: {', '.join(forgot)}")


def guard(app: Flask, *, api: Authenticate, pages: Authenticate) -> None:
    """Lets in who may come in, before anything else looks at the request.

    `pages` takes `is_sighting`, whether somebody is there.
    """

    app.extensions["confirm_api_key"] = api

    @app.before_request
    def admit() -> None:
        if request.endpoint is None or request.method == "OPTIONS":
            return  # nothing will run: no such route, or the list of its methods
        needed, view = declared(current_app, request.endpoint), current_app.view_functions[request.endpoint]
        if needed != PUBLIC:
            if request.blueprint == "api":
                found = api(is_confirmed_later=hasattr(view, _CONFIRMED))
            else:
                found = pages(is_sighting=not hasattr(view, _BY_ITSELF))
            g.caller = _admitted(found, needed)
            if g.caller.must_enrol and not hasattr(view, _FOR_ENROLMENT):
                raise SecondFactorNeeded


def confirm() -> None:
    """Looks up a key that was let in on what was remembered. Raises Unauthenticated when it was revoked since."""
    caller: Caller | None = g.get("caller")
    if caller is not None and caller.key_to_confirm is not None:
        g.pop("caller")
        g.caller = _admitted(current_app.extensions["confirm_api_key"](), caller.role)


def admit_again() -> None:
    """For an answer of the API that was long in coming. Raises Unauthenticated when the key was revoked meanwhile."""
    g.caller = _admitted(current_app.extensions["confirm_api_key"](), declared(current_app, request.endpoint or ""))


def _admitted(caller: Caller | None, needed: Role | str | None) -> Caller:
    if caller is None:
        raise Unauthenticated
    if not isinstance(needed, Role) or not caller.role.includes(needed):
        raise PermissionDenied
    return caller
