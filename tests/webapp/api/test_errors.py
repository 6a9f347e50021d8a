from __future__ import annotations

import inspect
import io
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing import errors
from billing.errors import BillingError
from tests.support.api import HUNG, Api
from webapp.api import line_items
from webapp.api.errors import STATUS
from webapp.config import Config

NOBODYS = "3f0d8f1c-6a1e-4a53-9b0a-2f6f0c5d7e81"


def test_every_error_of_the_business_has_its_status_in_the_table():
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BillingError)}

    assert kinds - {BillingError} <= STATUS.keys()


class TestUnknown:
    PATHS = (
        "/bills/{id}",
        "/bills/{id}/line-items",
        "/bills/{id}/events",
        "/bills/{id}/line-item-requests/{id}",
    )

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("id_", [NOBODYS, "1", "bill-x", "%00", f"{{{NOBODYS}}}", "%FF", "é"])
    def test_an_id_that_nobody_has_and_one_that_nobody_could_have_are_the_same(self, api: Api, path: str, id_: str):
        answer = api.get(path.format(id=id_))
        other = api.get(path.format(id=uuid4()))

        assert answer.status_code == other.status_code == 404
        assert without_request_id(answer.json) == without_request_id(other.json)
        assert answer.json["message"] == "bill not found"

    @pytest.mark.parametrize("path", ["/bills/{id}/close", "/bills/{id}/line-items", "/bills/{id}/line-items/batch"])
    def test_a_change_of_it_is_not_found(self, api: Api, path: str):
        body = None if path.endswith("close") else HUNG if path.endswith("items") else {"line_items": [HUNG]}

        assert api.post(path.format(id=uuid4()), body).json["message"] == "bill not found"

    @pytest.mark.parametrize("path", ["", "/", "/nothing", "/bills/", "//bills", "/../bills", "/bills/x/y/z"])
    def test_an_address_that_nothing_has(self, stranger: Api, path: str):
        answer = stranger.get(path)

        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
        assert answer.json["details"]["request_id"] == answer.headers["X-Request-Id"]


class TestMethods:
    @pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "BREW"])
    def test_others_are_not_allowed(self, api: Api, method: str):
        answer = api.call(method, "/bills", None, {})

        assert answer.status_code == 405
        assert answer.json["code"] == "invalid_argument"
        assert {"GET", "HEAD", "POST"} <= set(answer.headers["Allow"].split(", "))

    def test_head_is_get_without_a_body(self, api: Api):
        path = f"/bills/{api.opened()}"

        answer = api.call("HEAD", path, None, {})

        assert (answer.status_code, answer.data) == (200, b"")
        assert answer.content_length == api.get(path).content_length

    def test_options_lists_the_methods(self, stranger: Api):
        answer = stranger.call("OPTIONS", "/bills", None, {})

        assert answer.status_code == 200
        assert "POST" in answer.headers["Allow"]


class TestRequestIds:
    def test_a_sane_one_is_kept(self, api: Api):
        answer = api.get("/bills/x", X_Request_Id="trace:01/a-b_c.d")

        assert answer.headers["X-Request-Id"] == answer.json["details"]["request_id"] == "trace:01/a-b_c.d"

    @pytest.mark.parametrize("given", ["", "a b", "<script>", "a" * 101, "é"])
    def test_another_is_replaced(self, api: Api, given: str):
        answer = api.get("/bills/x", X_Request_Id=given)

        assert answer.headers["X-Request-Id"] not in {"", given}


class TestTooLarge:
    def test_a_chunked_body_is_refused_at_the_limit_without_reading_on(self, app: Flask, api: Api):
        body = Endless()

        status, answer = chunked(app, api, body)

        assert status == "413 REQUEST ENTITY TOO LARGE"
        assert b"body_too_large" in answer
        assert body.read_bytes <= 64 * 1024 + 1

    def test_a_declared_length_is_refused_without_reading_at_all(self, app: Flask, api: Api):
        body = Endless()

        status, _ = chunked(app, api, body, CONTENT_LENGTH="65537")

        assert status == "413 REQUEST ENTITY TOO LARGE"
        assert body.read_bytes == 0


class Endless(io.RawIOBase):
    """A body that never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self.read_bytes += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def chunked(app: Flask, api: Api, body: Endless, **environ: str) -> tuple[str, bytes]:
    """As a WSGI server hands over a chunked body: no length, and a stream that it ends itself."""
    from werkzeug.test import create_environ

    path = f"/api/v1/bills/{api.opened()}/line-items"
    base = create_environ(path, method="POST", headers=api.credentials, content_type="application/json")
    base.pop("CONTENT_LENGTH", None)
    base.update(
        {"wsgi.input": body, "wsgi.input_terminated": True, **(environ or {"HTTP_TRANSFER_ENCODING": "chunked"})}
    )
    seen: list[str] = []
    answer = b"".join(app.wsgi_app(base, lambda status, *_: seen.append(status)))
    return seen[0], answer


class TestOurFault:
    def test_nothing_of_a_bug_leaks(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        bill_id = api.opened()

        def broken(*_, **__):
            raise RuntimeError("the secret of Hung")

        monkeypatch.setattr(line_items.commands, "add_line_item", broken)

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, X_Request_Id="bug-1")

        logged = capsys.readouterr().err
        assert (answer.status_code, answer.json["code"]) == (500, "internal")
        assert answer.json["details"] == {"reason": "internal", "request_id": "bug-1"}
        assert "secret" not in answer.text + logged
        assert "bug-1" in logged
        assert "RuntimeError" in logged

    def test_an_error_that_is_its_own_cause_is_logged_once_and_answered(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        bill_id = api.opened()

        def broken(*_, **__):
            error = RuntimeError("circular")
            error.__cause__ = error
            raise error

        monkeypatch.setattr(line_items.commands, "add_line_item", broken)
        assert api.post(f"/bills/{bill_id}/line-items", HUNG).status_code == 500
        assert capsys.readouterr().err.count('"fault"') == 1


class TestDatabaseOutOfReach:
    @pytest.fixture
    def lost(self, config: Config, make_app) -> FlaskClient:
        settings = replace(config.settings, database_url="postgresql://billing@127.0.0.1:1/billing")
        return make_app(replace(config, settings=settings)).test_client()

    def test_every_call_is_unavailable_and_may_be_repeated(self, lost: FlaskClient):
        caller = Api(lost, "pave_" + "x" * 43)

        for answer in (caller.get("/bills"), caller.post("/bills", {}), caller.get("/rates")):
            assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"] == "1"

    def test_connections_that_were_lost_are_replaced(self, api: Api, engine: Engine):
        bill_id = api.opened()
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )

        answers = [api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="again") for _ in range(6)]

        assert {answer.status_code for answer in answers} <= {200, 503}
        assert answers[-1].status_code == 200
        assert api.bill(bill_id)["item_count"] == 1


def without_request_id(error: dict) -> dict:
    details = {name: value for name, value in error["details"].items() if name != "request_id"}
    return {**error, "details": details}
