"""JSON Schema, in few words: what values look like, and the components that answers are made of.

A component is declared once, beside what renders it, and referred to everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Schema = Mapping[str, Any]

_COMPONENTS: dict[str, Schema] = {}
COMPONENTS: Mapping[str, Schema] = MappingProxyType(_COMPONENTS)

DECIMAL_PATTERN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
INSTANT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"

BOOLEAN: Schema = {"type": "boolean"}
ID: Schema = {"type": "string", "format": "uuid"}
CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217, upper case."}
DECIMAL: Schema = {"type": "string", "pattern": DECIMAL_PATTERN, "description": "Exact, in plain notation."}
# As answers carry it; requests may have any offset.
INSTANT: Schema = {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}
CURSOR: Schema = {"type": ["string", "null"], "description": "Where the next page begins; null on the last one."}


def text(description: str = "", **rules: Any) -> Schema:
    return _described({"type": "string", **rules}, description)


def whole(description: str = "", *, lowest: int = 0, **rules: Any) -> Schema:
    return _described({"type": "integer", "minimum": lowest, **rules}, description)


def one_of(words: Sequence[str], description: str = "", **rules: Any) -> Schema:
    return _described({"type": "string", "enum": [str(word) for word in words], **rules}, description)


def array(items: Schema, **rules: Any) -> Schema:
    return {"type": "array", "items": items, **rules}


def by_currency(value: Schema, description: str) -> Schema:
    """An object whose members are named by currency codes."""
    return {"type": "object", "description": description, "additionalProperties": value}


def nullable(schema: Schema) -> Schema:
    words = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **words}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **rules: Any) -> Schema:
    """An object with these members. Others may be added in later versions."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": [*required], **rules}


def component(name: str, schema: Schema) -> Schema:
    """Declares a component; what is returned refers to it."""
    assert name not in _COMPONENTS, f"{name} is declared twice"
    _COMPONENTS[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def _described(schema: dict[str, Any], description: str) -> Schema:
    return {**schema, "description": description} if description else schema
