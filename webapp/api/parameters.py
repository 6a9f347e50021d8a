"""Query parameters: known ones, each once, each with a value that makes sense."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import request

from billing.errors import InvalidArgument
from billing.text import parse_text

MOST_IN_A_PAGE = 100
DEFAULT_PAGE = 50
HIGHEST_POSITION = 2**63 - 1
LONGEST_SEARCH = 255


def parameters(*known: str) -> dict[str, str]:
    """What the address asks for beside its path. Raises InvalidArgument, naming the parameter."""
    if not request.query_string:
        return {}
    found: dict[str, str] = {}
    for name, value in _pairs(request.query_string):
        if name not in known:
            raise InvalidArgument("unknown query parameter", reason="unknown_parameter", field=name[:100])
        if name in found:
            raise InvalidArgument(f"{name} is there twice", field=name)
        found[name] = value
    return found


def limit(found: dict[str, str]) -> int:
    return _whole(found, "limit", lowest=1, highest=MOST_IN_A_PAGE, default=DEFAULT_PAGE)


def after(found: dict[str, str]) -> int:
    return _whole(found, "after", lowest=0, highest=HIGHEST_POSITION, default=0)


def seconds(found: dict[str, str], name: str, most: int) -> int:
    return _whole(found, name, lowest=0, highest=most, default=0)


def search(found: dict[str, str]) -> str | None:
    """The words to search for, or None."""
    return parse_text(found.get("q"), "q", longest=LONGEST_SEARCH, required=False).strip() or None


def _whole(found: dict[str, str], name: str, *, lowest: int, highest: int, default: int) -> int:
    text = found.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise InvalidArgument(f"{name} must be a whole number from {lowest} to {highest}", field=name)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:  # not UTF-8, or too many
        raise InvalidArgument("the query string could not be read", reason="malformed_query") from None
