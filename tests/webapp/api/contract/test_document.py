"""The OpenAPI document says what the routes declare, and answers are held against it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from billing.errors import BillClosed
from tests.support.api import Api
from tests.support.conforming import errors_of, the_document
from webapp.api import line_items, render
from webapp.api.contract import document, operation
from webapp.api.contract.operation import OperationUndeclared
from webapp.identity import access

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def operations(app: Flask) -> list[dict[str, Any]]:
    return [declared for path in the_document(app)["paths"].values() for declared in path.values()]


def contents(app: Flask) -> list[tuple[str, dict[str, Any]]]:
    """Every kind of answer, by the name of its call and its status."""
    return [
        (f"{declared['operationId']} {status}", content)
        for declared in operations(app)
        for status, answer in declared["responses"].items()
        for content in answer.get("content", {}).values()
    ]


class TestWhatItHolds:
    def test_everybody_may_read_it(self, client: FlaskClient):
        answer = client.get("/api/v1/openapi.json")

        assert (answer.status_code, answer.mimetype) == (200, "application/json")
        assert answer.json["openapi"].startswith("3.1.")
        assert answer.headers["Cache-Control"].startswith("public")
        known = {"If-None-Match": answer.headers["ETag"]}
        assert client.get("/api/v1/openapi.json", headers=known).status_code == 304

    def test_every_route_and_method_is_in_it_and_nothing_else(self, app: Flask):
        routes = {
            (document.path_of(rule), method.lower())
            for rule in operation.rules(app)
            for method in METHODS
            if method in (rule.methods or ())
        }

        assert routes == {(path, method) for path, told in the_document(app)["paths"].items() for method in told}

    def test_names_of_calls_are_unique(self, app: Flask):
        names = [declared["operationId"] for declared in operations(app)]

        assert len(set(names)) == len(names)

    def test_every_call_is_in_a_section_and_bills_come_first(self, app: Flask):
        sections = [tag["name"] for tag in the_document(app)["tags"]]

        assert sections[0] == "Bills"
        assert {tag for declared in operations(app) for tag in declared["tags"]} == set(sections)

    def test_every_part_of_an_address_is_a_parameter(self, app: Flask):
        for path, told in the_document(app)["paths"].items():
            for declared in told.values():
                named = [parameter["name"] for parameter in declared["parameters"] if parameter["in"] == "path"]
                assert [f"{{{name}}}" in path for name in named] == [True] * path.count("{"), path

    def test_every_reference_leads_to_a_component_and_none_is_left_over(self, app: Flask):
        told = the_document(app)
        pieces = json.dumps(told).split('"#/components/schemas/')[1:]

        assert {piece.partition('"')[0] for piece in pieces} == set(told["components"]["schemas"])

    def test_every_schema_is_one(self, app: Flask):
        for _, content in contents(app):
            Draft202012Validator.check_schema(content["schema"])
        for schema in the_document(app)["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_it_names_what_every_call_can_answer(self, app: Flask):
        for declared in operations(app):
            assert declared["responses"].keys() >= {"400", "401", "403", "406", "429", "500", "503"}
            assert "Retry-After" in declared["responses"]["429"]["headers"]
            assert all("X-Request-Id" in answer["headers"] for answer in declared["responses"].values())

    def test_every_call_names_the_scope_that_it_needs(self, app: Flask):
        for rule in operation.rules(app):
            for declared in the_document(app)["paths"][document.path_of(rule)].values():
                if declared["operationId"] == rule.endpoint.rpartition(".")[2]:
                    scope = str(access.declared(app, rule.endpoint))
                    its_own = access.declared_for_its_own(app, rule.endpoint)
                    scopes = [scope, *([str(its_own)] if its_own else [])]
                    assert declared["security"] == [{"apiKey": [one]} for one in scopes]
                    assert all(f"`{one}`" in declared["description"] for one in scopes)
                    for_bound = "Not for keys that are bound" not in declared["description"]
                    assert for_bound == access.takes_bound_keys(app, rule.endpoint)

    def test_calls_that_can_be_repeated_say_so(self, app: Flask):
        for declared in operations(app):
            takes_key = "Idempotency-Key" in {parameter["name"] for parameter in declared["parameters"]}
            answers = [answer for status, answer in declared["responses"].items() if status < "300"]
            assert {"Idempotent-Replayed" in answer["headers"] for answer in answers} == {takes_key}
            reasons = declared["responses"].get("409", {}).get("content", {}).get("application/json", {})
            assert ("idempotency_key_reused" in reasons.get("examples", {})) == takes_key


class TestLinks:
    def test_what_a_call_made_leads_to_the_calls_about_it(self, app: Flask):
        paths = the_document(app)["paths"]
        opened = paths["/bills"]["post"]["responses"]["200"]["links"]
        added = paths["/bills/{bill_id}/line-items"]["post"]["responses"]

        assert opened["close_bill"] == {
            "operationId": "close_bill",
            "parameters": {"bill_id": "$response.body#/data/id"},
        }
        assert added["200"]["links"]["reverse_line_item"]["parameters"] == {
            "bill_id": "$response.body#/data/id",
            "item_id": "$response.body#/line_item/id",
        }
        assert set(added["202"]["links"]) >= {"show_line_item_request", "show_bill"}

    def test_every_link_gives_all_that_an_address_takes(self, app: Flask):
        takes = {
            declared["operationId"]: {one["name"] for one in declared["parameters"] if one["in"] == "path"}
            for declared in operations(app)
        }
        links = [
            link
            for declared in operations(app)
            for answer in declared["responses"].values()
            for link in answer.get("links", {}).values()
        ]

        assert len(links) > 20
        assert all(takes[link["operationId"]] == set(link["parameters"]) for link in links)


class TestExamples:
    def test_of_answers_are_what_their_schema_says(self, app: Flask):
        for name, content in contents(app):
            values = [one["value"] for one in content.get("examples", {}).values()] or [content["example"]]
            for value in values:
                assert errors_of(app, content["schema"], value) == [], name

    def test_of_requests_are_what_their_schema_says(self, app: Flask):
        for declared in operations(app):
            for content in declared.get("requestBody", {}).get("content", {}).values():
                example = content.get("example", {})
                assert errors_of(app, content["schema"], example) == [], declared["operationId"]

    def test_their_period_goes_with_the_day(self, app: Flask):
        told = document.of_app(app, date(2027, 12, 31))["paths"]["/bills"]["post"]["requestBody"]

        example = told["content"]["application/json"]["example"]
        assert example["period_start"] == "2027-12-01T00:00:00.000000Z"
        assert example["period_end"] == "2028-01-01T00:00:00.000000Z"


class TestUndeclared:
    @pytest.mark.parametrize("path", ["/forgotten", "/bills/<unheard_of>"])
    def test_a_route_that_says_nothing_does_not_start(self, path: str):
        forgetful, blueprint = Flask("forgetful"), Blueprint("api", "api", url_prefix="/api/v1")
        view = operation.operation("Forget", answers={})(lambda **_: "") if "<" in path else lambda: ""
        blueprint.add_url_rule(path, "forgotten", view)
        forgetful.register_blueprint(blueprint)

        with pytest.raises(OperationUndeclared, match=r"api\.forgotten"):
            operation.refuse_undeclared(forgetful)


class TestDrift:
    """What the tests' caller notices in every answer that any test gets."""

    @pytest.fixture
    def rendered(self, monkeypatch: pytest.MonkeyPatch):
        """Makes line items look otherwise in the answers to come."""

        def look(change) -> None:
            as_it_is = render.line_item
            monkeypatch.setattr(render, "line_item", lambda item: json.dumps(change(json.loads(as_it_is(item)))))

        return look

    def test_a_member_that_is_not_declared(self, api: Api, rendered):
        bill_id = api.opened()
        rendered(lambda item: {**item, "colour": "red"})

        with pytest.raises(AssertionError, match="colour"):
            api.added(bill_id)

    def test_a_member_that_is_missing(self, api: Api, rendered):
        bill_id = api.opened()
        rendered(lambda item: {name: value for name, value in item.items() if name != "total"})

        with pytest.raises(AssertionError, match="total"):
            api.added(bill_id)

    def test_a_value_of_another_form(self, api: Api, rendered):
        bill_id = api.opened()
        rendered(lambda item: {**item, "created_at": "2026-11-01T00:00:00Z"})

        with pytest.raises(AssertionError, match="created_at"):
            api.added(bill_id)

    def test_a_reason_that_is_not_declared(self, api: Api, monkeypatch: pytest.MonkeyPatch):
        bill_id = api.opened()

        def refuse(*_, **__):
            raise BillClosed(reason="bill_eaten")

        monkeypatch.setattr(line_items.commands, "add_line_item", refuse)
        with pytest.raises(AssertionError, match="bill_eaten"):
            api.added(bill_id)

    def test_a_header_that_is_not_declared(self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(render, "answer", lambda *_, **__: app.response_class("{}", headers={"Sunset": "now"}))

        with pytest.raises(AssertionError, match="Sunset"):
            api.get("/customers")
