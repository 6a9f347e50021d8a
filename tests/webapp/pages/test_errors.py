"""Our own faults, as they are told on pages."""

from __future__ import annotations

import pytest

from webapp.headers import CONTENT_SECURITY_POLICY


class Bug(Exception):
    pass


def broken(*_: object, **__: object) -> None:
    raise Bug("secret")


@pytest.fixture
def faulty(viewer, monkeypatch):
    """A page that fails."""
    monkeypatch.setattr("webapp.pages.rates.render", broken)
    return viewer


def test_a_page_that_fails_says_so_and_nothing_of_why(faulty):
    page = faulty.open("/rates", status=500)

    assert page.has("error-500")
    assert "secret" not in faulty.answer.text
    assert "Bug" not in faulty.answer.text


def test_what_the_rail_counts_keeps_no_page_from_being_shown(viewer, monkeypatch):
    monkeypatch.setattr(viewer.client.application.extensions["pave"], "attention", broken)

    assert viewer.open("/bills").has("filters")


def test_nor_the_page_that_says_what_went_wrong(faulty, monkeypatch):
    monkeypatch.setattr(faulty.client.application.extensions["pave"], "attention", broken)

    assert faulty.open("/rates", status=500).has("error-500")


def test_should_that_one_fail_too_its_words_are_left_and_the_headers_of_every_answer(faulty, monkeypatch):
    monkeypatch.setattr("webapp.pages.errors.render", broken)

    faulty.open("/rates", status=500)

    answer = faulty.answer
    assert answer.mimetype == "text/plain"
    assert "Something went wrong on our side" in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "secret" not in answer.text
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
