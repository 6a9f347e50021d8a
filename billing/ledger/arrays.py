"""Lists on their way to PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

_NEED_NO_QUOTES = {UUID, Decimal, type(None)}


def array(values: Sequence[Any]) -> str | list[Any]:
    """For a parameter with a cast to its array type.

    Ids, numbers and nulls in PostgreSQL's own notation, which psycopg takes several times as long to write; anything
    that may need quoting is left to psycopg.
    """
    if set(map(type, values)) <= _NEED_NO_QUOTES:
        return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
    return list(values)
