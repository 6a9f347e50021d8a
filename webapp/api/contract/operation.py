"""What a call of the API takes and answers, declared next to its route.

    @api.post("/bills/<bill_id>/period")
    @allow(Scope.BILLS_CLOSE)
    @operation("Move the end of a bill's period", body=Body((PERIOD_END, EXPECTED_VERSION)), answers={200: ...})
    def change_period(bill_id: str) -> Response:

The parsers take from it which fields and parameters the call knows; `document.py` makes the OpenAPI document of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app, request
from werkzeug.routing import Rule

from webapp.api.blueprint import api
from webapp.api.contract.answers import Answer
from webapp.api.contract.fields import PATHS, Body, Field, File, Refusal

View = TypeVar("View", bound=Callable[..., Any])

_DECLARATION = "operation_declared"


class OperationUndeclared(Exception):
    """A route of the API doesn't say what it takes and answers."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`refusals` are those that neither a field nor a parameter brings about."""

    summary: str
    answers: Mapping[int, Answer]
    query: tuple[Field, ...] = ()
    body: Body | None = None
    is_idempotent: bool = False
    may_respond_async: bool = False
    refusals: tuple[Refusal, ...] = ()
    file: File | None = None

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(parameter.name for parameter in self.query)


def operation(
    summary: str,
    *,
    answers: Mapping[int, Answer],
    query: tuple[Field, ...] = (),
    body: Body | None = None,
    is_idempotent: bool = False,
    may_respond_async: bool = False,
    refusals: tuple[Refusal, ...] = (),
    file: File | None = None,
) -> Callable[[View], View]:
    """Declares the call; its name is the view's, its description the view's docstring."""
    made = Operation(summary, answers, query, body, is_idempotent, may_respond_async, refusals, file)

    def declare(view: View) -> View:
        setattr(view, _DECLARATION, made)
        return view

    return declare


def declared(app: Flask, endpoint: str) -> Operation | None:
    return getattr(app.view_functions[endpoint], _DECLARATION, None)


def of_this_request() -> Operation:
    """For what parses a request on behalf of its view."""
    made: Operation = getattr(current_app.view_functions[request.endpoint or ""], _DECLARATION)
    return made


def rules(app: Flask) -> list[Rule]:
    """The routes of the API."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{api.name}.")]


def refuse_undeclared(app: Flask) -> None:
    """Raises OperationUndeclared, naming every route of the API that forgot, and every part of an address."""
    forgot = {rule.endpoint for rule in rules(app) if declared(app, rule.endpoint) is None}
    forgot |= {f"{rule.endpoint} ({name})" for rule in rules(app) for name in rule.arguments if name not in PATHS}
    if forgot:
        raise OperationUndeclared(f"these routes don't declare their operation: {', '.join(sorted(forgot))}")
