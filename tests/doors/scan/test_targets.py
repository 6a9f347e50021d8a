"""What scanners are let loose on is all that the API's document and the pages have."""

from __future__ import annotations

import pytest

from tests.doors.scan.sqlmap import Outcome, outcome
from tests.doors.scan.targets import MARK, Target, of_document
from webapp.app import create_app
from webapp.config import Config

NAMES = dict.fromkeys(("accruing", "item", "nobody", "spare", "webhook"), "01a20878-6a6a-76c5-9200-b28d1739fd59")


@pytest.fixture(scope="module")
def document() -> dict:
    """It needs no database."""
    away = {"DATABASE_URL": "postgresql://billing@127.0.0.1:1/billing", "SECRET_KEY": "only for tests, not a secret"}
    return create_app(Config.from_environment(away)).test_client().get("/api/v1/openapi.json").json


def test_every_parameter_of_every_call_is_tried(document: dict):
    found = list(of_document(document, NAMES))

    for path, calls in document["paths"].items():
        for method, call in calls.items():
            mine = [one for one in found if one.name.partition(",")[0] == f"{method.upper()} {path}"]
            tried = {name for one in mine for name in (*one.query, *one.headers)}
            asked = {one["name"] for one in call.get("parameters", ()) if one["in"] != "path"}
            assert tried == asked
            assert max((one.path.count(MARK) for one in mine), default=0) == path.count("{")


def test_every_field_of_every_example_is_tried(document: dict):
    by_name = {one.name: one for one in of_document(document, NAMES)}

    batch = by_name["POST /bills/{bill_id}/line-items/batch"].body
    assert batch["line_items"][0]["description"].endswith(MARK)
    assert by_name["POST /customers"].marks == 4


def test_a_request_stands_in_its_file_as_it_is_sent():
    target = Target("a form", "POST", "/bills", {"in": "USD*"}, form={"text": "a&b*", "csrf_token": "t"})

    assert target.raw("localhost:1", {"Cookie": "c"}).split("\r\n") == [
        "POST /bills?in=USD* HTTP/1.1",
        "Host: localhost:1",
        "Cookie: c",
        "Content-Type: application/x-www-form-urlencoded",
        "",
        "text=a%26b*&csrf_token=t",
    ]
    assert target.marks == 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[CRITICAL] all tested parameters do not appear to be injectable. Try", Outcome.CLEAN),
        ("sqlmap identified the following injection point(s) with a total of 41 HTTP(s) requests", Outcome.FOUND),
        ("GET parameter 'q' appears to be 'PostgreSQL > 8.1 stacked queries' injectable", Outcome.FOUND),
        ("[CRITICAL] unable to connect to the target URL", Outcome.UNTRIED),
        ("", Outcome.UNTRIED),
    ],
)
def test_what_ended_in_no_verdict_is_no_pass(said: str, expected: Outcome):
    assert outcome(said) is expected
