"""Whether answers of the API are what its OpenAPI document says: the schema of their status, closed to members that
aren't declared; reasons of refusals; headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from webapp.api.blueprint import PATH
from webapp.api.contract import document, operation
from webapp.api.contract.answers import JSON
from webapp.api.exports import NDJSON

# What an answer may have only if it is declared.
TELLING_HEADERS = {
    "Accept-Patch", "Deprecation", "Idempotent-Replayed", "Link", "Location", "Preference-Applied", "RateLimit",
    "RateLimit-Policy", "Retry-After", "Sunset", "WWW-Authenticate",
}  # fmt: skip
FORMATS = FormatChecker(formats=[])


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value


@FORMATS.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class ConformingClient(FlaskClient):
    """A caller who holds every answer of the API against its document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        if answer.request.path.startswith(f"{PATH}/"):
            # Who says so reads it piece by piece.
            assert_conforms(self.application, answer, reads=kwargs.get("buffered") is not False)
        return answer


def assert_conforms(app: Flask, answer: TestResponse, *, reads: bool = True) -> None:
    method, rule = answer.request.method, _rule(app, answer)
    if method == "OPTIONS" or (rule is not None and rule not in operation.rules(app)):
        return
    if rule is None:  # an address that nothing has, or a method that it doesn't take
        assert answer.status_code >= 400
        # Who calls us by a name that isn't ours is told so before anything looks at the address.
        if answer.status_code != 400:
            _validate(app, {"$ref": "#/components/schemas/Error"}, answer.json)
        return
    declared = the_document(app)["paths"][document.path_of(rule)]["get" if method == "HEAD" else method.lower()]
    status = str(answer.status_code)
    assert status in declared["responses"], f"{declared['operationId']} doesn't declare {status}: {answer.text}"
    said = declared["responses"][status]
    _assert_headers(said["headers"], answer)
    if "content" not in said:
        assert answer.data == b"", f"{declared['operationId']} declares no body for {status}"
        return
    assert answer.mimetype in said["content"], f"{declared['operationId']} doesn't declare {answer.mimetype}"
    content = said["content"][answer.mimetype]
    if method == "HEAD" or not reads or answer.mimetype not in {JSON, NDJSON}:
        return
    for value in [answer.json] if answer.mimetype == JSON else map(json.loads, answer.text.splitlines()):
        _validate(app, content["schema"], value)
    if answer.status_code >= 400:
        reason, code = answer.json["details"]["reason"], answer.json["code"]
        assert reason in content["examples"], f"{declared['operationId']} doesn't declare {status} {reason}"
        assert content["examples"][reason]["value"]["code"] == code


def _rule(app: Flask, answer: TestResponse) -> Rule | None:
    try:
        return app.url_map.bind_to_environ(answer.request.environ).match(return_rule=True)[0]
    except HTTPException:
        return None


def _assert_headers(declared: Mapping[str, Any], answer: TestResponse) -> None:
    undeclared = {name for name in TELLING_HEADERS if name in answer.headers} - declared.keys()
    assert not undeclared, f"undeclared headers: {undeclared}"
    for name, header in declared.items():
        assert not header["required"] or name in answer.headers, f"{name} is missing"
        if name in answer.headers and header["schema"]["type"] == "integer":
            assert int(answer.headers[name]) >= header["schema"]["minimum"]


def _validate(app: Flask, schema: Mapping[str, Any], value: object) -> None:
    errors = errors_of(app, schema, value)
    assert not errors, "\n".join(errors)


def errors_of(app: Flask, schema: Mapping[str, Any], value: object) -> list[str]:
    """What is wrong about a value, by a schema of the document that is closed to members that aren't declared."""
    validator = Draft202012Validator({**closed(schema), "components": _components(app)}, format_checker=FORMATS)
    return sorted(f"{error.json_path}: {error.message}" for error in validator.iter_errors(value))


@lru_cache(maxsize=4)
def the_document(app: Flask) -> Mapping[str, Any]:
    return document.of_app(app, datetime.now(UTC).date())


@lru_cache(maxsize=4)
def _components(app: Flask) -> Mapping[str, Any]:
    components: Mapping[str, Any] = closed(the_document(app)["components"])
    return components


def closed(schema: Any) -> Any:
    """The same schema, closed: the document leaves room for what later versions add."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    told = {name: closed(value) for name, value in schema.items()}
    is_record = schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping)
    return {"additionalProperties": False, **told} if is_record else told
