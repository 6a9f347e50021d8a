"""What the Observatory's ratings come to."""

from __future__ import annotations

import pytest

from tests.doors.observatory.run import Kind, _wrong

TEST = {"name": "content-security-policy", "result": "csp-not-implemented", "pass": True}
RATED = {"name": "overview", "status": 200, "grade": "A+", "score": 135, "tests": [TEST]}


def test_a_full_a_plus_is_no_complaint():
    assert _wrong(Kind("overview", "/"), RATED) == []


@pytest.mark.parametrize(
    ("less", "sentence"),
    [
        ({"grade": "A", "score": 95}, "overview: A, 95"),
        ({"status": 404}, "overview: answered 404, not 200"),
        ({"tests": [{**TEST, "pass": False}]}, "overview: content-security-policy: csp-not-implemented"),
    ],
)
def test_anything_less_is_one(less: dict, sentence: str):
    assert _wrong(Kind("overview", "/"), {**RATED, **less}) == [sentence]


def test_no_answer_is_one_too():
    assert _wrong(Kind("overview", "/"), {"name": "overview", "error": "no answer"}) == ["overview: no answer"]
