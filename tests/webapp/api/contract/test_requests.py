"""What is declared about requests is how they are read: examples are accepted, what breaks a rule is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from tests.support.api import Api
from tests.support.imports import ndjson, sent
from webapp.api.contract import document, operation
from webapp.api.contract.fields import ROW, Field, examples_of
from webapp.api.contract.operation import Operation
from webapp.api.contract.schemas import Schema
from workflows import outgoing, receivers

READING = {"GET", "HEAD", "OPTIONS"}
NO_TEXT, NO_INSTANT = 5, "yesterday"
# What a field is looked at with only.
BESIDE = {"reference": {"source": "shop"}}


@pytest.fixture(autouse=True)
def _no_names_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the addresses of webhooks."""
    monkeypatch.setattr(outgoing, "check", receivers.parse)


@pytest.fixture
def parts(admin: Api) -> dict[str, str]:
    """Of addresses, by the names that routes give them."""
    bill_id = admin.opened()
    request = admin.post(f"/bills/{bill_id}/line-items", line_item(), Prefer="respond-async")
    customer_id = f"customer {uuid4().hex}"
    admin.post("/customers", {"id": customer_id})
    return {
        "bill_id": bill_id,
        "item_id": admin.added(bill_id)["id"],
        "request_id": request.json["data"]["id"],
        "customer_id": quote(customer_id),
        "import_id": sent(admin, ndjson([line_item()]), bill_id).json["data"]["id"],
        "endpoint_id": admin.post("/webhook-endpoints", {"url": "https://hooks.acme.example/"}).json["data"]["id"],
    }


def line_item() -> dict[str, Any]:
    return example_of(ROW[:-1])


def example_of(fields: tuple[Field, ...]) -> dict[str, Any]:
    return examples_of(fields, datetime.now(UTC).date())


def calls(app: Flask, *, with_body: bool) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in operation.rules(app):
        declared = operation.declared(app, rule.endpoint)
        assert declared is not None
        if with_body == (declared.body is not None) and not (set(rule.arguments) & {"snapshot_id"}):
            yield rule, next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"})), declared


def broken(schema: Schema) -> Iterator[Any]:
    """Values that a schema refuses, each for one of its rules."""
    for alternative in schema.get("anyOf", [schema]):
        yield from _broken(alternative)


def _broken(schema: Schema) -> Iterator[Any]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "string" in kinds:
        yield [NO_TEXT]
        yield from ["x" * (schema["maxLength"] + 1)] if "maxLength" in schema else []
        yield from [""] if "minLength" in schema else []
        yield from [" usd "] if "pattern" in schema and "[ -~]" not in schema["pattern"] else []
        yield from ["nothing of it"] if "enum" in schema else []
        yield from [NO_INSTANT] if schema.get("format") == "date-time" else []
    if {"integer", "number"} & set(kinds):
        yield from [schema["maximum"] + 1] if "maximum" in schema else []
        yield from [schema["minimum"] - 1] if "minimum" in schema else []
        yield from [schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
        yield "a" * 3
    yield from ["no"] if "boolean" in kinds else []
    if "array" in kinds:
        yield from [["nothing of it"]] if "enum" in schema["items"] else []
        yield from [[]] if schema.get("minItems") else []
        yield from [[{}] * (schema["maxItems"] + 1)] if "maxItems" in schema else []


def test_every_example_of_a_body_is_accepted(app: Flask, admin: Api, tester: Api, parts: Mapping[str, str]):
    for rule, method, declared in calls(app, with_body=True):
        body = example_of(declared.body.fields) if declared.body else {}
        caller = tester if rule.rule.endswith("/clock") else admin
        # Nothing is accepted by a bill after its close; only a test bill has a clock.
        of_its_own = rule.rule.endswith(("/close", "/clock"))
        path = document.path_of(rule).format(**{**parts, "bill_id": caller.opened()} if of_its_own else parts)

        answer = caller.call(method, path, body, {})

        assert answer.status_code in declared.answers, (rule, answer.text)


def test_what_breaks_a_rule_of_a_body_is_refused_and_named(app: Flask, admin: Api, parts: Mapping[str, str]):
    tried = 0
    for rule, method, declared in calls(app, with_body=True):
        path = document.path_of(rule).format(**parts)
        fields = declared.body.fields if declared.body else ()
        for field in fields:
            for value in broken(field.schema):
                answer = admin.call(
                    method, path, {**example_of(fields), **BESIDE.get(field.name, {}), field.name: value}, {}
                )
                assert answer.status_code == 400, (rule, field.name, value)
                assert answer.json["details"]["field"] == field.name
                tried += 1
    assert tried > 40


def test_a_required_field_left_out_is_refused_and_named(app: Flask, admin: Api, parts: Mapping[str, str]):
    for rule, method, declared in calls(app, with_body=True):
        fields = declared.body.fields if declared.body else ()
        for field in fields:
            body = {name: value for name, value in example_of(fields).items() if name != field.name}
            answer = admin.call(method, document.path_of(rule).format(**parts), body, {})
            refused = answer.status_code == 400 and answer.json["details"].get("field") == field.name
            assert refused == field.required, (rule, field.name, answer.text)


def test_a_field_that_is_not_declared_is_refused(app: Flask, admin: Api, parts: Mapping[str, str]):
    for rule, method, declared in calls(app, with_body=True):
        body = {**example_of(declared.body.fields if declared.body else ()), "colour": "red"}
        answer = admin.call(method, document.path_of(rule).format(**parts), body, {})
        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "unknown_field"), rule


def test_a_body_longer_than_declared_is_refused(app: Flask, admin: Api, parts: Mapping[str, str]):
    for rule, method, declared in calls(app, with_body=True):
        longest = declared.body.longest if declared.body else 0
        answer = admin.call(method, document.path_of(rule).format(**parts), b" " * (longest + 1), {})
        assert answer.status_code == 413, rule


def test_rows_of_a_batch_are_read_as_declared(admin: Api, parts: Mapping[str, str]):
    for field in ROW:
        for value in broken(field.schema):
            row = {**example_of(ROW), **BESIDE.get(field.name, {}), field.name: value}
            answer = admin.post(f"/bills/{parts['bill_id']}/line-items/batch", {"line_items": [row]})
            (outcome,) = answer.json["outcomes"]
            assert (outcome["outcome"], outcome["error"]["details"]["field"]) == ("rejected", field.name), value


def test_what_breaks_a_rule_of_a_parameter_is_refused_and_named(app: Flask, admin: Api, parts: Mapping[str, str]):
    tried = 0
    for rule, method, declared in calls(app, with_body=False):
        for parameter in declared.query:
            for value in broken(parameter.schema):
                if isinstance(value, list):
                    continue  # every value of a query is text
                path = f"{document.path_of(rule).format(**parts)}?{parameter.name}={quote(str(value))}"
                answer = admin.call(method, path, None, {})
                assert answer.status_code == 400, path
                assert answer.json["details"]["field"] == parameter.name
                tried += 1
    assert tried > 20


def test_a_parameter_that_is_not_declared_is_refused(app: Flask, admin: Api, parts: Mapping[str, str]):
    for rule, method, declared in [*calls(app, with_body=False), *calls(app, with_body=True)]:
        body = example_of(declared.body.fields) if declared.body else None
        answer = admin.call(method, f"{document.path_of(rule).format(**parts)}?colour=red", body, {})
        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "unknown_parameter"), rule


def test_a_declared_parameter_is_known(app: Flask, admin: Api, parts: Mapping[str, str]):
    for rule, method, declared in calls(app, with_body=False):
        for parameter in declared.query:
            answer = admin.call(method, f"{document.path_of(rule).format(**parts)}?{parameter.name}=", None, {})
            assert answer.status_code == 200 or answer.json["details"]["reason"] != "unknown_parameter", parameter.name
