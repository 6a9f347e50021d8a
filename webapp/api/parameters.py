"""Query parameters: those that the call declares, each once, each with a value that makes sense."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import request

from billing.errors import InvalidArgument
from billing.text import parse_text
from webapp.api.contract.fields import AFTER, LIMIT, LONGEST_SEARCH, Field
from webapp.api.contract.operation import of_this_request


def parameters() -> dict[str, str]:
    """What the address asks for beside its path. Raises InvalidArgument, naming the parameter."""
    if not request.query_string:
        return {}
    known = of_this_request().parameters
    found: dict[str, str] = {}
    for name, value in _pairs(request.query_string):
        if name not in known:
            raise InvalidArgument("unknown query parameter", reason="unknown_parameter", field=name[:100])
        if name in found:
            raise InvalidArgument(f"{name} is there twice", field=name)
        found[name] = value
    return found


def limit(found: dict[str, str]) -> int:
    return whole(found, LIMIT)


def after(found: dict[str, str]) -> int:
    return whole(found, AFTER)


def search(found: dict[str, str]) -> str | None:
    """The words to search for, or None."""
    return parse_text(found.get("q"), "q", longest=LONGEST_SEARCH, required=False).strip() or None


def whole(found: dict[str, str], parameter: Field) -> int:
    """Within the bounds that the parameter declares."""
    name, bounds = parameter.name, parameter.schema
    lowest, highest = bounds["minimum"], bounds["maximum"]
    text = found.get(name)
    if text is None:
        return int(bounds["default"])
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise InvalidArgument(f"{name} must be a whole number from {lowest} to {highest}", field=name)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:  # not UTF-8, or too many
        raise InvalidArgument("the query string could not be read", reason="malformed_query") from None
