"""How a call can be refused: what it declares, and what comes with its fields, its parameters and being a call."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.routing import Rule

from billing import errors
from billing.errors import BillingError, InvalidArgument
from webapp.api.contract.answers import INTERNAL as INTERNAL_CODE
from webapp.api.contract.fields import PATHS, Field, Refusal
from webapp.api.contract.operation import Operation
from webapp.api.errors import (
    INTERNAL,
    INTERNAL_MESSAGE,
    NotAcceptable,
    TooLarge,
    UnsupportedMediaType,
    envelope,
    status_of,
)
from webapp.identity.access import PUBLIC, KeyBound, ScopeMissing
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope

SAMPLE_REQUEST_ID = "0199d3a1-7f20-7c31-9d5e-3f1f6f0f6a11"

_OF_EVERY_CALL: tuple[Refusal, ...] = (
    InvalidArgument("unknown query parameter", reason="unknown_parameter", field="colour"),
    InvalidArgument("the query string could not be read", reason="malformed_query"),
    errors.MalformedRequest("the request could not be read"),
    NotAcceptable,
    errors.ResourceExhausted,
    errors.Unavailable,
)
_OF_CREDENTIALS: tuple[Refusal, ...] = (errors.Unauthenticated, ScopeMissing, KeyBound)
_OF_BODIES: tuple[Refusal, ...] = (
    errors.MalformedRequest,
    InvalidArgument("unknown field", reason="unknown_field", field="colour"),
    InvalidArgument("a field is there twice", reason="duplicate_field", field="quantity"),
    TooLarge,
    UnsupportedMediaType,
)
_OF_KEYS: tuple[Refusal, ...] = (
    InvalidArgument("Idempotency-Key must be 1 to 255 printable ASCII characters", field="Idempotency-Key"),
    errors.IdempotencyKeyReused,
)
# Who waits too long for others that change the same is told so, with a key and without one.
_OF_CHANGES: tuple[Refusal, ...] = (errors.IdempotencyInProgress,)
_READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Case:
    """One way to be refused, as the document tells it."""

    status: int
    code: str
    reason: str
    meaning: str
    example: Mapping[str, Any]


def cases(rule: Rule, operation: Operation, needed: Role | Scope | str | None) -> Mapping[int, Sequence[Case]]:
    """By status; each reason once."""
    found: dict[int, dict[str, Case]] = defaultdict(dict)
    for refusal in _refusals(rule, operation, needed):
        case = _case(refusal)
        found[case.status].setdefault(case.reason, case)
    found[INTERNAL][INTERNAL_CODE] = _internal()
    return {status: list(found[status].values()) for status in sorted(found)}


def _refusals(rule: Rule, operation: Operation, needed: Role | Scope | str | None) -> Iterator[Refusal]:
    body = operation.body.fields if operation.body else ()
    for field in (*body, *operation.query):
        yield from _of_value(field)
    yield from operation.refusals
    if operation.is_idempotent:
        yield from _OF_KEYS
    if not (rule.methods or set()) <= _READING:
        yield from _OF_CHANGES
    if operation.body:
        yield from _OF_BODIES
    if operation.file:
        yield from (errors.MalformedRequest, TooLarge, UnsupportedMediaType)
    for field in (*body, *operation.query, *(PATHS[name] for name in sorted(rule.arguments))):
        yield from field.refusals
    yield from () if needed == PUBLIC else _OF_CREDENTIALS
    yield from _OF_EVERY_CALL


def _of_value(field: Field) -> Iterator[Refusal]:
    if field.required or "minLength" in field.schema:  # an empty text counts as missing
        yield InvalidArgument(f"{field.name} is required", reason="required", field=field.name)
    yield InvalidArgument(f"{field.name} is not valid", field=field.name)


def _case(refusal: Refusal) -> Case:
    error = refusal if isinstance(refusal, BillingError) else refusal()
    details = {"reason": error.reason, "request_id": SAMPLE_REQUEST_ID}
    if error.field:
        details["field"] = error.field
    meaning = inspect.cleandoc(type(error).__doc__ or "") if error.reason == type(error).reason else f"{error}."
    return Case(status_of(error), error.code, error.reason, meaning, envelope(error.code, error.message, details))


def _internal() -> Case:
    details = {"reason": INTERNAL_CODE, "request_id": SAMPLE_REQUEST_ID}
    example = envelope(INTERNAL_CODE, INTERNAL_MESSAGE, details)
    return Case(INTERNAL, INTERNAL_CODE, INTERNAL_CODE, "A fault of ours. Repeat it with the same key.", example)
