"""Which calls an answer leads to: what it made has an id that other addresses take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug.routing import Rule

from webapp.api.contract.answers import (
    BILL,
    CUSTOMER,
    IMPORT,
    ISSUED_WEBHOOK_ENDPOINT,
    JSON,
    LINE_ITEM,
    LINE_ITEM_REQUEST,
    WEBHOOK_ENDPOINT,
    Answer,
)

# By component: which of its members a part of an address takes.
_MEMBERS: Mapping[str, Mapping[str, str]] = {
    BILL["$ref"]: {"bill_id": "id"},
    LINE_ITEM["$ref"]: {"item_id": "id"},
    LINE_ITEM_REQUEST["$ref"]: {"bill_id": "bill_id", "request_id": "id"},
    CUSTOMER["$ref"]: {"customer_id": "id"},
    IMPORT["$ref"]: {"import_id": "id"},
    WEBHOOK_ENDPOINT["$ref"]: {"endpoint_id": "id"},
    ISSUED_WEBHOOK_ENDPOINT["$ref"]: {"endpoint_id": "id"},
}


def links(answer: Answer, rules: Iterable[Rule]) -> Mapping[str, Any]:
    """By the name of the call that each leads to."""
    known = _ids(answer)
    reachable = (rule for rule in rules if rule.arguments and rule.arguments <= known.keys())
    return {name: {"operationId": name, "parameters": parameters} for name, parameters in _named(reachable, known)}


def _named(rules: Iterable[Rule], known: Mapping[str, str]) -> Iterable[tuple[str, Mapping[str, str]]]:
    for rule in sorted(rules, key=lambda rule: rule.endpoint):
        yield rule.endpoint.rpartition(".")[2], {name: known[name] for name in sorted(rule.arguments)}


def _ids(answer: Answer) -> Mapping[str, str]:
    """Where the answer's body has what an address takes."""
    return {
        part: f"$response.body#/{place}/{member}"
        for place, schema in answer.contents.get(JSON, {}).get("properties", {}).items()
        for part, member in _MEMBERS.get(schema.get("$ref", ""), {}).items()
    }
