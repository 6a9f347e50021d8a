"""The pages that show the API, with somebody who tries a call with a key of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import Engine

from tests.support.complaints import Complaints
from webapp.identity import api_keys
from webapp.identity.roles import Role

OpenReference = Callable[..., Page]


@pytest.fixture
def open_reference(chromium: Browser, site: str, complaints: Complaints) -> Iterator[OpenReference]:
    """The pages as somebody sees them who hasn't signed in."""
    with ExitStack() as at_the_end:

        def open_(**looks: object) -> Page:
            context = complaints.listen(chromium.new_context(base_url=site, **looks))
            at_the_end.callback(context.close)
            page = context.new_page()
            page.asked_for = []
            page.on("request", lambda request: page.asked_for.append(request.url))
            page.goto("/docs")
            expect(summary_of(page, "open_bill")).to_be_visible()
            return page

        yield open_


def summary_of(page: Page, call: str) -> Locator:
    return page.locator(f"[id$=-{call}] .opblock-summary-control")


def test_a_call_is_tried_with_a_key_of_ones_own(open_reference: OpenReference, engine: Engine, site: str):
    page = open_reference()
    key = api_keys.create(engine, name="tried", role=Role.VIEWER)

    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(key)
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()
    summary_of(page, "show_currencies").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    answered = page.locator(".live-responses-table .response").first
    expect(answered.locator(".response-col_status")).to_contain_text("200")
    expect(answered).to_contain_text('"offered"')
    # Nothing is asked of, or told to, anybody else; and the key stays with the page.
    assert {urlsplit(url).netloc for url in page.asked_for if not url.startswith(("data:", "blob:"))} == {
        urlsplit(site).netloc
    }
    assert key not in str(page.evaluate("[JSON.stringify(localStorage), JSON.stringify(sessionStorage)]"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_they_have_the_colours_that_the_system_asks_for(open_reference: OpenReference, scheme: str):
    page = open_reference(color_scheme=scheme)

    is_dark = page.evaluate("document.documentElement.classList.contains('dark-mode')")

    assert is_dark == (scheme == "dark")


def test_nothing_is_wider_than_a_phone(open_reference: OpenReference):
    page = open_reference(viewport={"width": 360, "height": 740})
    summary_of(page, "add_line_item").click()
    expect(page.get_by_text("Request body").first).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
