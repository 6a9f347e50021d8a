"""The guide for integrators knows every reason and every limit that the API has."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from tests.support.conforming import the_document
from webapp.api import errors

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()


def reasons(app: Flask) -> set[str]:
    return {
        reason
        for path in the_document(app)["paths"].values()
        for declared in path.values()
        for answer in declared["responses"].values()
        for content in answer.get("content", {}).values()
        for reason in content.get("examples", {})
    }


def test_it_says_what_to_do_about_every_reason(app: Flask):
    table = GUIDE.partition("\n## Errors, and what to do about each\n")[2].partition("\n## ")[0]
    known = reasons(app) | {errors.MethodNotAllowed.reason}

    assert {reason for reason in known if f"`{reason}`" not in table} == set()


def test_it_names_every_code(app: Flask):
    codes = the_document(app)["components"]["schemas"]["Error"]["properties"]["code"]["enum"]

    assert [code for code in codes if f"`{code}`" not in GUIDE] == []
