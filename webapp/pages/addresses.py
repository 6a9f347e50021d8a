"""Addresses as Flask's `url_for` makes them, from patterns that are kept: a page has dozens, and each took Flask longer
than a table's row takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import request, url_for

# What no address quotes, neither in its path nor in its query.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MOST_PATTERNS = 512


def address(endpoint: str, **values: Any) -> str:
    """The same as `url_for`, and sooner where all values are ids, whole numbers or plain words."""
    given = {name: value for name, value in values.items() if value is not None}
    if endpoint.startswith(".") or not all(map(_is_plain, given, given.values())):
        return url_for(endpoint, **values)
    return _pattern(endpoint, tuple(given), request.script_root).format(*given.values())


def _is_plain(name: str, value: object) -> bool:
    """Flask takes a name with an underscore before it for itself."""
    if name.startswith("_"):
        return False
    kind = type(value)
    return kind is UUID or kind is int or (kind is str and _PLAIN.fullmatch(str(value)) is not None)


@lru_cache(_MOST_PATTERNS)
def _pattern(endpoint: str, names: tuple[str, ...], _root: str) -> str:
    places: Mapping[str, str] = {name: f"A-VALUE-{n}-" for n, name in enumerate(names)}
    pattern = url_for(endpoint, **places).replace("{", "{{").replace("}", "}}")  # type: ignore[arg-type]
    for n, place in enumerate(places.values()):
        pattern = pattern.replace(place, f"{{{n}}}")
    return pattern
