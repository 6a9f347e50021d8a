"""When something is missing: script, a quick network, the network, Temporal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from billing.ledger import reads
from tests.browser.elements import rows
from tests.browser.states import DESIGN, STATES, Place, State
from tests.browser.visits import Visits
from webapp.pages.element_ids import element_id

SLOW_MS = 1_500
# Without those that only a script brings about, and the page that shows components, of which some do nothing.
PAGES = [state for state in STATES if state.steps is None and state not in DESIGN]


def type_line(page: Page, description: str) -> None:
    page.get_by_label("Description", exact=True).fill(description)
    page.get_by_label("Quantity", exact=True).fill("1")
    page.get_by_label("Unit price", exact=True).fill("12.50")


@contextmanager
def slow(page: Page) -> Iterator[None]:
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": SLOW_MS, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    network.send("Network.emulateNetworkConditions", conditions)
    yield
    network.send(
        "Network.emulateNetworkConditions",
        {**conditions, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    network.detach()


@contextmanager
def unanswered(page: Page, address: str) -> Iterator[list[Route]]:
    """Requests to it are answered only after the end of this: those that were sent until then."""
    waiting: list[Route] = []

    def keep(route: Route) -> None:
        waiting.append(route)

    page.route(address, keep)
    yield waiting
    for route in waiting:
        route.continue_()
    page.unroute(address)


class TestWithoutScript:
    # A button that sends no form and opens nothing by itself does nothing here.
    DEAD = """() => [...document.querySelectorAll("main button, nav button, header button")]
        .filter((button) => button.checkVisibility() && !button.popoverTargetElement && !button.commandForElement)
        .filter((button) => button.type === "button" || !button.form)
        .map((button) => button.outerHTML.slice(0, 140))"""

    @pytest.mark.parametrize("state", PAGES, ids=str)
    def test_every_page_is_whole_and_offers_nothing_that_does_nothing(self, visits: Visits, state: State):
        with visits.visit(state, script=False) as page:
            assert page.evaluate("!document.documentElement.classList.contains('scripted')")
            expect(page.get_by_role("heading", level=1).first).to_be_visible()
            dead = page.evaluate(self.DEAD)
        assert not dead, "\n".join(dead)

    def test_a_customer_is_registered_and_billed(self, open_browser, engine):
        page = open_browser(script=False)
        page.goto("/customers/new")
        page.get_by_label("Customer id").fill("without-script")
        page.get_by_role("button", name="Register customer").click()
        page.get_by_role("link", name="New bill").last.click()
        page.get_by_role("button", name="Open bill").click()
        expect(page.get_by_text("No lines yet.")).to_be_visible()
        type_line(page, "Wire fee")
        page.get_by_role("button", name="Add line").click()
        page.get_by_role("link", name="Share", exact=True).click()
        page.get_by_role("button", name="Create link").click()
        page.goto(urlsplit(page.get_by_label("Link of").input_value()).path)
        expect(page.get_by_text("Wire fee")).to_be_visible()


class TestOnASlowNetwork:
    def test_adding_a_line_says_that_it_is_busy_and_impatience_doubles_nothing(self, open_browser, bill, engine):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Wire fee")
        with unanswered(page, "**/line-items") as sent:
            page.keyboard.press("Enter")
            expect(page.get_by_role("button", name="Add line")).to_be_disabled()
            for _ in range(3):
                page.keyboard.press("Enter")
            expect(page.get_by_role("button", name="Add line")).to_be_disabled()
        assert len(sent) == 1
        expect(rows(page, bill)).to_have_count(1)
        expect(page.get_by_label("Description", exact=True)).to_be_focused()
        assert reads.bill(engine, bill.id).item_count == 1

    def test_twenty_impatient_clicks_close_nothing_twice(self, open_browser, bill):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        page.get_by_role("link", name="Close bill").click()
        button = page.get_by_role("dialog").get_by_role("button", name="Close bill")
        with slow(page):
            button.click(click_count=20, delay=5)
            expect(page.locator("#notices")).to_contain_text("finishes by itself")


class TestWithoutTheNetwork:
    def test_what_was_typed_stays_and_is_sent_when_it_is_back(self, open_browser, bill, engine):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Wire fee")
        page.context.set_offline(True)
        page.keyboard.press("Enter")
        expect(page.locator("#notices")).to_contain_text("can't be reached")
        expect(page.get_by_label("Description", exact=True)).to_have_value("Wire fee")
        page.context.set_offline(False)
        page.get_by_role("button", name="Add line").click()
        expect(rows(page, bill)).to_have_count(1)
        expect(page.locator("#notices")).to_be_empty()
        assert reads.bill(engine, bill.id).item_count == 1

    def test_a_dialog_says_so_itself_and_keeps_what_was_typed(self, open_browser, bill):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        page.get_by_role("link", name="Change period").click()
        page.get_by_label("Period end").fill("2030-01-01T00:00")
        page.context.set_offline(True)
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Change period").click()
        expect(dialog.get_by_role("alert")).to_contain_text("can't be reached")
        expect(page.get_by_label("Period end")).to_have_value("2030-01-01T00:00")
        page.context.set_offline(False)
        dialog.get_by_role("button", name="Change period").click()
        expect(dialog).to_contain_text("366 days")
        expect(dialog).not_to_contain_text("can't be reached")


class TestWithoutTemporal:
    """The site of these tests has none."""

    def test_the_page_says_so_and_keeps_taking_lines(self, open_browser, bill, engine):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        workflow = page.locator(f"#{element_id(bill, 'workflow')}")
        expect(workflow).to_contain_text("can't be reached")
        type_line(page, "Wire fee")
        page.keyboard.press("Enter")
        expect(rows(page, bill)).to_have_count(1)
        expect(page.get_by_label("Description", exact=True)).to_be_focused()

    def test_closing_is_taken_and_said_to_finish_by_itself(self, open_browser, bill, engine):
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        page.get_by_role("link", name="Close bill").click()
        page.get_by_role("dialog").get_by_role("button", name="Close bill").click()
        expect(page.locator("#notices")).to_contain_text("finishes by itself")
        assert reads.bill(engine, bill.id).status == "closing"


def test_with_the_database_away_what_was_typed_is_kept(visits: Visits):
    away = next(state for state in STATES if state.place == Place.CUT_OFF)
    with visits.visit(away) as page:
        page.go_back()
        expect(page.get_by_label("E-mail")).to_have_value("nobody@example.com")
