"""What a run of Schemathesis comes to: refusals that are slow, and those that only a busy machine made slow."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from tests.doors.scan.listening import served
from tests.support.fuzzing import REFUSED_WITHIN_S, Fuzzed, _read


def report(directory: Path, url: str, *, status: int, elapsed: float, transition: str | None = None) -> Path:
    case = {"value": {"method": "POST", "path": "/bills"}, "is_transition_applied": True}
    if transition:
        case["transition"] = {"id": transition}  # type: ignore[assignment]
    body = base64.b64encode(b"{}").decode()
    sent = {"method": "POST", "uri": url, "headers": {"X": ["1"], "Content-Length": ["2"]}, "body": {"$base64": body}}
    call = {"request": sent, "response": {"status_code": status, "elapsed": elapsed}}
    events = [
        {"LoadingFinished": {"statistic": {"transitions": {"total": 3}}}},
        {"ScenarioFinished": {"recorder": {"cases": {"a": case}, "interactions": {"a": call}}}},
        {"ScenarioFinished": {"recorder": None}},
    ]
    file = directory / "calls.ndjson"
    file.write_text("\n".join(map(json.dumps, events)))
    return file


@pytest.fixture
def found() -> Fuzzed:
    return Fuzzed(is_good=True, output="", took_s=1)


def test_a_refusal_that_is_slow_when_nothing_else_is_asked_is_found(found: Fuzzed, tmp_path: Path):
    def respond(_address: str) -> tuple[str, str]:
        time.sleep(REFUSED_WITHIN_S)
        return "application/json", "{}"

    with served(respond) as url:
        _read(found, report(tmp_path, url, status=400, elapsed=0.3))

    assert len(found.slow) == 1
    assert found.slowest_refusal_s == 0.3


def test_one_that_was_slow_once_is_not(found: Fuzzed, tmp_path: Path):
    with served(lambda _: ("application/json", "{}")) as url:
        _read(found, report(tmp_path, url, status=400, elapsed=3.0))

    assert found.slow == []
    assert (found.slowest_refusal_s, found.refusals, found.failures) == (3.0, 1, 0)


def test_a_link_counts_that_was_followed_with_success(found: Fuzzed, tmp_path: Path):
    for status in (200, 400):
        _read(found, report(tmp_path, "http://127.0.0.1:1", status=status, elapsed=0.01, transition="bill -> item"))

    assert found.links == {"bill -> item": 1}
    assert found.declared_links == 3
    assert found.succeeded == {"POST /bills"}


def test_no_answer_is_a_failure(found: Fuzzed, tmp_path: Path):
    _read(found, report(tmp_path, "http://127.0.0.1:1", status=500, elapsed=0.01))

    assert found.failures == 1
