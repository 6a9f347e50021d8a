"""Lists on their way to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_WRITE: Mapping[type, Callable[[Any], str]] = {
    UUID: str,
    Decimal: str,
    str: _quoted,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    type(None): lambda _: "NULL",
}


def array(values: Sequence[Any]) -> str | list[Any]:
    """For a parameter with a cast to its array type: in PostgreSQL's own notation, which psycopg takes several times as
    long to write. What has another type is left to psycopg."""
    if set(map(type, values)) <= _WRITE.keys():
        return "{" + ",".join([_WRITE[type(value)](value) for value in values]) + "}"
    return list(values)
