"""The OpenAPI document, made of what the routes declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from webapp.api.blueprint import PATH
from webapp.api.contract import operation, samples
from webapp.api.contract.answers import ERROR, JSON, Answer
from webapp.api.contract.fields import KEY_SCHEMA, PATHS, Body, Field, File, examples_of, object_of
from webapp.api.contract.links import links
from webapp.api.contract.operation import Operation
from webapp.api.contract.refusals import Case, cases
from webapp.api.contract.schemas import COMPONENTS, Schema, one_of, text, whole
from webapp.identity import access
from webapp.identity.access import PUBLIC
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope

# It changes with what the answers promise; the path's version only with what they break.
VERSION = "1.0.0"
ABOUT = (
    "Bills that accrue fees in several currencies and close on time with frozen exchange rates.\n\n"
    "Decimals are strings, exact; instants are UTC. Whatever is refused has one form and no effect. "
    "Fields, events and reasons may be added at any time; none is renamed or removed within `/api/v1`."
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CONVERTED = re.compile(r"<(?:[a-z_]+:)?([a-z_]+)>")
_KEY_HEADER = Field(
    "Idempotency-Key",
    {**KEY_SCHEMA, "description": "Makes the call safe to repeat, for ever: choose a new one for each change."},
)
_PREFER = Field("Prefer", text("`respond-async`: answer 202 as soon as what was asked is stored."))
_EVERY_ANSWER: Mapping[str, Schema] = {
    "X-Request-Id": text("Yours, if it was sane, or a new one. Name it when you ask for help."),
    "RateLimit-Policy": text("The limits of this key, where there are any."),
    "RateLimit": text("What is left of them."),
}
_SURE = ("X-Request-Id", "Retry-After", "WWW-Authenticate", "Location", "Preference-Applied")
_OF_REFUSALS: Mapping[int, Mapping[str, Schema]] = {
    401: {"WWW-Authenticate": text()},
    429: {"Retry-After": whole("Seconds to wait before the next call.")},
    503: {"Retry-After": whole("Seconds to wait. Repeat the call with the same Idempotency-Key.")},
}
_REPLAYED: Mapping[str, Schema] = {
    "Idempotent-Replayed": one_of(["true"], "There when the call repeats an earlier one with the same key.")
}

# What the calls of a module are about, in the order in which readers meet it.
TAGS: Mapping[str, str] = {
    "bills": "Bills",
    "explanations": "Bills",
    "clocks": "Bills",
    "line_items": "Line items",
    "batches": "Line items",
    "reversals": "Line items",
    "imports": "Imports",
    "events": "Events",
    "feed": "Events",
    "webhook_endpoints": "Webhooks",
    "exports": "Exports",
    "customers": "Customers",
    "rates": "Rates",
    "currencies": "Currencies",
}


def of_app(app: Flask, day: date) -> Mapping[str, Any]:
    """As of a day, by its month: the examples of requests can be sent as they stand."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pave Billing", "version": VERSION, "description": ABOUT},
        "servers": [{"url": PATH}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(TAGS.values())],
        "paths": _paths(app, day),
        "components": {
            "schemas": {name: COMPONENTS[name] for name in sorted(COMPONENTS)},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `pave_...`"},
            },
        },
    }


def path_of(rule: Rule) -> str:
    """As the document names it."""
    return _CONVERTED.sub(r"{\1}", rule.rule.removeprefix(PATH))


def _paths(app: Flask, day: date) -> Mapping[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(operation.rules(app), key=lambda rule: rule.rule):
        declared = operation.declared(app, rule.endpoint)
        assert declared is not None, "the application would not have started"
        for method in _METHODS:
            if method in (rule.methods or ()):
                paths.setdefault(path_of(rule), {})[method.lower()] = _operation(app, rule, declared, day)
    return paths


def _operation(app: Flask, rule: Rule, declared: Operation, day: date) -> Mapping[str, Any]:
    needed = access.declared(app, rule.endpoint)
    told: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": declared.summary,
        "description": _description(app, rule, needed),
        "tags": [_tag(app, rule)],
        "parameters": _parameters(rule, declared, day),
        "responses": {
            **{str(status): _success(app, rule, declared, answer) for status, answer in declared.answers.items()},
            **{str(status): _refusal(status, found) for status, found in cases(rule, declared, needed).items()},
        },
    }
    its_own = access.declared_for_its_own(app, rule.endpoint)
    scopes = [needed, *([its_own] if its_own else [])]
    told["security"] = [] if needed == PUBLIC else [{"apiKey": [str(scope)]} for scope in scopes]
    if declared.body is not None:
        told["requestBody"] = _body(declared.body, day)
    if declared.file is not None:
        told["requestBody"] = _file(declared.file)
    return told


def _description(app: Flask, rule: Rule, needed: Role | Scope | str | None) -> str:
    documented = app.view_functions[rule.endpoint].__doc__ or ""
    paragraphs = ["\n".join(line.strip() for line in documented.strip().splitlines())] if documented else []
    return "\n\n".join([*paragraphs, _for_whom(app, rule, needed)])


def _for_whom(app: Flask, rule: Rule, needed: Role | Scope | str | None) -> str:
    if needed == PUBLIC:
        return "For everybody."
    bound = "" if access.takes_bound_keys(app, rule.endpoint) else " Not for keys that are bound to customers."
    its_own = access.declared_for_its_own(app, rule.endpoint)
    suffices = f", or `{its_own}` for what keys of the same name asked for" if its_own else ""
    return f"Needs the scope `{needed}`{suffices}.{bound}"


def _tag(app: Flask, rule: Rule) -> str:
    return TAGS[app.view_functions[rule.endpoint].__module__.rpartition(".")[2]]


def _parameters(rule: Rule, declared: Operation, day: date) -> list[Mapping[str, Any]]:
    in_path = [PATHS[name] for name in _CONVERTED.findall(rule.rule)]
    headers = [_KEY_HEADER] if declared.is_idempotent else []
    headers += [_PREFER] if declared.may_respond_async else []
    return [
        *(_parameter(field, "path", day) for field in in_path),
        *(_parameter(field, "query", day) for field in declared.query),
        *(_parameter(field, "header", day) for field in headers),
    ]


def _parameter(field: Field, place: str, day: date) -> Mapping[str, Any]:
    schema = dict(field.schema)
    told = {
        "name": field.name,
        "in": place,
        "required": place == "path" or field.required,
        "description": schema.pop("description", ""),
        "schema": schema,
        "example": field.example_on(day),
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _body(body: Body, day: date) -> Mapping[str, Any]:
    longest = f"{body.longest // 1024} KB at most." + (" May be left out." if body.may_be_empty else "")
    media: dict[str, Any] = {"schema": object_of(body.fields)}
    example = examples_of(body.fields, day)
    if example:
        media["example"] = example
    return {"required": not body.may_be_empty, "description": longest, "content": {JSON: media}}


def _file(file: File) -> Mapping[str, Any]:
    content = {media: {"schema": schema, "example": file.examples[media]} for media, schema in file.media.items()}
    return {"required": True, "description": f"{file.longest // 1024 // 1024} MB at most.", "content": content}


def _success(app: Flask, rule: Rule, declared: Operation, answer: Answer) -> Mapping[str, Any]:
    headers = {**_EVERY_ANSWER, **answer.headers, **(_REPLAYED if declared.is_idempotent else {})}
    content = {
        media: {"schema": schema, "example": samples.of_schema(schema)} for media, schema in answer.contents.items()
    }
    told: dict[str, Any] = {"description": answer.meaning, "headers": _headers(headers)}
    told |= {"content": content} if content else {}
    # What reads leads where it has led before.
    leads_to = {} if "GET" in (rule.methods or ()) else links(answer, operation.rules(app))
    return {**told, "links": leads_to} if leads_to else told


def _refusal(status: int, found: Sequence[Case]) -> Mapping[str, Any]:
    examples = {case.reason: {"summary": case.meaning, "value": case.example} for case in found}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(_codes(found))}.",
        "headers": _headers({**_EVERY_ANSWER, **_OF_REFUSALS.get(status, {})}),
        "content": {JSON: {"schema": ERROR, "examples": examples}},
    }


def _codes(found: Sequence[Case]) -> Iterable[str]:
    return dict.fromkeys(f"`{case.code}`" for case in found)


def _headers(schemas: Mapping[str, Schema]) -> Mapping[str, Any]:
    told = {}
    for name, schema in schemas.items():
        bare = dict(schema)
        described = {"description": bare.pop("description")} if "description" in bare else {}
        told[name] = {**described, "required": name in _SURE, "schema": bare}
    return told
