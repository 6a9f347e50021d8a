"""Request bodies: JSON in UTF-8, read strictly: the fields that the call declares, and nothing that could be read in
two ways."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import HTTPException

from billing.errors import InvalidArgument, MalformedRequest
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import of_this_request
from webapp.api.errors import TooLarge
from webapp.api.negotiation import refuse_other_than_json

LONGEST_NUMBER = 100


def json_object() -> dict[str, Any]:
    """The body's object, holding none but declared fields; numbers are Decimal, exactly as written.

    Where it may be empty, an empty one has no field, whatever it says it is.
    """
    declared = _declared()
    if declared.may_be_empty:
        body = _bytes(declared.longest)
        if not body:
            return {}
        refuse_other_than_json()
    else:
        refuse_other_than_json()
        body = _bytes(declared.longest)
    return _object(body, declared.names)


def _declared() -> Body:
    declared = of_this_request().body
    assert declared is not None, "this call declares no body"
    return declared


def refuse_unknown(found: Mapping[str, Any], fields: Collection[str]) -> None:
    for name in found:
        if name not in fields:
            raise InvalidArgument("unknown field", reason="unknown_field", field=name[:100])


def expected_version(found: Mapping[str, Any]) -> int | None:
    """The version the caller has seen: a whole number within the declared bounds, or not there."""
    if "expected_version" not in found:
        return None
    value, bounds = found["expected_version"], _declared().schema_of("expected_version")
    if not isinstance(value, Decimal) or not bounds["minimum"] <= value <= bounds["maximum"] or value != int(value):
        raise InvalidArgument("expected_version must be a whole number", field="expected_version")
    return int(value)


def _bytes(limit: int) -> bytes:
    """At most `limit` bytes: more is refused by its Content-Length, or when the limit is met."""
    if request.content_length is not None and request.content_length > limit:
        raise TooLarge
    body = _read(limit + 1)
    if len(body) > limit:
        raise TooLarge
    return body


def _read(most: int) -> bytes:
    """A chunked body is cut off there without a word."""
    request.max_content_length = most
    try:
        return request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # each server has its own for a body that is badly framed
        raise MalformedRequest("the request body could not be read") from error


def _object(body: bytes, fields: Collection[str]) -> dict[str, Any]:
    try:
        value = decoded(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedRequest from None
    if not isinstance(value, dict):
        raise MalformedRequest("the request body must be a JSON object")
    refuse_unknown(value, fields)
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be true or false", field=name)
    return value


def decoded(text: str) -> Any:
    """The value of a JSON text; numbers are Decimal, exactly as written. Raises MalformedRequest."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise MalformedRequest from None


def _number(token: str) -> Decimal:
    if len(token) > LONGEST_NUMBER:
        raise MalformedRequest(f"numbers cannot be longer than {LONGEST_NUMBER} characters")
    try:
        return Decimal(token)
    except InvalidOperation:  # an exponent beyond any sense
        raise MalformedRequest("a number is out of range") from None


def _no_constant(token: str) -> NoReturn:
    raise MalformedRequest(f"{token} is not JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRequest("a field is there twice", reason="duplicate_field", field=twice[:100])
    return found


_DECODER = json.JSONDecoder(
    parse_float=_number,
    parse_int=_number,
    parse_constant=_no_constant,
    object_pairs_hook=_without_duplicates,
)
