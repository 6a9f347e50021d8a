"""An open page follows its bill: at once, without a jump, and honestly about the connection."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import ANY
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from billing.ledger import bills, closing
from billing.origin import by_the_system
from billing.settings import Settings
from tests.browser.elements import rows
from tests.browser.visits import sign_in
from tests.support.served import served
from tests.support.stopwatch import stopwatch
from tests.support.visitor import PASSWORD
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import user_changes
from webapp.identity.roles import Role
from webapp.pages.element_ids import element_id

LIVE_S = 1.0
MARKED_S = 4
# `marked`: what has been marked in each of these elements; `lasted`: for how many seconds each mark was there.
NOTE_MARKS = """(ids) => {
    window.marked = new Map();
    window.lasted = [];
    const since = new Map();
    new MutationObserver((records) => {
        for (const node of new Set(records.flatMap(({ target, addedNodes }) => [target, ...addedNodes]))) {
            const isMarked = node.classList?.contains("changed");
            if (isMarked && !since.has(node)) {
                since.set(node, performance.now());
                const id = ids.find((one) => node.closest(`#${one}`));
                if (id) marked.set(id, (marked.get(id) ?? new Set()).add(node));
            } else if (!isMarked && since.has(node) && node.isConnected) {
                lasted.push((performance.now() - since.get(node)) / 1000);
                since.delete(node);
            }
        }
    }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
}"""
HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def follow(open_browser, bill) -> Callable[[], Page]:
    """Opens the bill in a browser of its own, and waits until it is live."""

    def follow_() -> Page:
        page = open_browser()
        page.goto(f"/bills/{bill.id}")
        expect(mark(page)).to_have_text("Live")
        return page

    return follow_


def mark(page: Page) -> Locator:
    """What stands beside the title, as far as it can be seen."""
    return page.locator(".live > span:visible")


def part(page: Page, thing: object, name: str = "") -> Locator:
    return page.locator(f"#{element_id(thing, name)}")


def expect_soon(locator: Locator, *, within_s: float = LIVE_S) -> None:
    """However long the machine itself stands still."""
    with stopwatch() as took:
        expect(locator).to_be_visible()
    assert took.s < within_s


def top_of(locator: Locator) -> float:
    return locator.bounding_box()["y"]


def test_what_one_person_adds_the_other_sees_within_a_second(follow, bill):
    ann, bob = follow(), follow()
    took_s = []
    for n in range(5):
        ann.get_by_label("Description", exact=True).fill(f"Line {n}")
        ann.get_by_label("Quantity").fill("1")
        ann.get_by_label("Unit price").fill("2.5")
        began_s = time.monotonic()
        ann.keyboard.press("Enter")
        expect(rows(bob, bill).first).to_contain_text(f"Line {n}")
        took_s.append(time.monotonic() - began_s)
        expect(ann.get_by_label("Description", exact=True)).to_have_value("")
    print("seconds until the other page shows a line:", [round(one, 3) for one in took_s])
    assert statistics.median(took_s) < LIVE_S
    expect(part(bob, bill, "totals").locator(".grand")).to_contain_text("12.50 USD")


def test_links_are_in_the_timeline_of_every_open_page_once(follow, bill):
    ann, bob = follow(), follow()
    shared = "li:has(b:text-is('Shared'))"
    ann.get_by_role("link", name="Share", exact=True).click()
    ann.get_by_role("button", name="Create link").click()
    for page in (ann, bob):
        expect(part(page, bill, "events").locator(shared)).to_have_count(1)
    ann.get_by_text("Revoke…").click()
    ann.get_by_role("button", name="Revoke link").click()
    for page in (ann, bob):
        expect(part(page, bill, "events").locator("li").first).to_contain_text("Link revoked")
    # Each page has asked by now, for what the dialog had brought already too.
    for page in (ann, bob):
        expect(part(page, bill, "live").locator("[name=links]")).to_have_value("2")
        expect(part(page, bill, "events").locator("li")).to_have_count(3)


def test_on_a_closed_bill_a_link_is_in_the_timeline_of_the_page_that_made_it(open_browser, bill, engine):
    bills.request_close(engine, by_the_system("test"), bill.id)
    closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_role("button", name="Create link").click()
    expect(part(page, bill, "events").locator("li").first).to_contain_text("Shared")


def test_what_changed_is_marked_for_some_seconds(follow, bill, add, engine):
    page = follow()
    # Marks fade, perhaps before this test has looked at the last of them: which there were is noted on the page.
    page.evaluate(NOTE_MARKS, [element_id(bill, name) for name in ("totals", "events", "header")])
    item = add(bill, "First", "1")
    expect(part(page, item)).to_have_class("fresh")
    page.wait_for_function("marked.size >= 2")
    assert page.evaluate("[...marked].map(([id, nodes]) => [id, nodes.size])") == [
        [element_id(bill, "totals"), ANY],
        [element_id(bill, "events"), 1],
    ]
    bills.change_period(engine, by_the_system("test"), bill.id, bill.period.end - timedelta(days=3))
    page.wait_for_function("id => marked.has(id)", arg=element_id(bill, "header"))
    expect(page.locator(".changed")).to_have_count(0)
    assert page.evaluate("seconds => Math.min(...lasted) > seconds", MARKED_S - 1)


def test_focus_selection_and_what_is_typed_stay(follow, bill, add):
    page = follow()
    page.get_by_label("Description", exact=True).press_sequentially("half a li")
    page.keyboard.press("Shift+ArrowLeft")
    expect(part(page, add(bill, "One", "1"))).to_be_visible()
    page.keyboard.type("line")
    expect(page.get_by_label("Description", exact=True)).to_have_value("half a lline")
    page.get_by_role("link", name="Close bill").focus()
    expect(part(page, add(bill, "Two", "1"))).to_be_visible()
    expect(page.get_by_role("link", name="Close bill")).to_be_focused()
    page.get_by_role("link", name="Reverse One").click()
    page.get_by_label("Reason").fill("sent tw")
    expect(part(page, add(bill, "Three", "1"))).to_be_attached()
    page.keyboard.type("ice")
    expect(page.get_by_label("Reason")).to_have_value("sent twice")


def test_what_the_pointer_is_on_stays_under_it(follow, bill, add):
    items = [add(bill, f"Line {n}", "1") for n in range(45)]
    page = follow()
    pointed_at = part(page, items[20])
    pointed_at.scroll_into_view_if_needed()
    pointed_at.locator("td").first.hover()
    before = top_of(pointed_at)
    for n in range(3):
        expect(part(page, add(bill, f"New {n}", "1"))).to_be_attached()
        assert top_of(pointed_at) == pytest.approx(before, abs=1)


def test_nor_does_it_jump_on_a_page_too_short_to_scroll(follow, bill, add):
    item = add(bill, "Only", "1")
    page = follow()
    page.set_viewport_size({"width": 1280, "height": 2000})
    part(page, item).locator("td").first.hover()
    before = top_of(part(page, item))
    expect(part(page, add(bill, "Another", "1"))).to_be_attached()
    assert top_of(part(page, item)) == pytest.approx(before, abs=1)


def test_what_is_read_further_down_stays_without_a_pointer(follow, bill, add):
    items = [add(bill, f"Line {n}", "1") for n in range(45)]
    page = follow()
    page.evaluate("scrollTo(0, 900)")
    visible = next(item for item in items if 200 < top_of(part(page, item)) < 400)
    before = top_of(part(page, visible))
    expect(part(page, add(bill, "New", "1"))).to_be_attached()
    assert top_of(part(page, visible)) == pytest.approx(before, abs=1)


def test_where_somebody_types_stays_when_something_comes_in_above(follow, bill, engine):
    page = follow()
    field = page.get_by_label("Description", exact=True)
    field.fill("half a line")
    before = top_of(field)
    bills.request_close(engine, by_the_system("test"), bill.id)
    expect(page.get_by_text("finishes by itself")).to_be_attached()
    assert top_of(field) == pytest.approx(before, abs=1)
    expect(field).to_have_value("half a line")


def test_a_lost_connection_is_said_and_comes_back_by_itself(follow, bill, add, complaints):
    page = follow()
    page.context.set_offline(True)
    expect(mark(page)).to_have_text("Reconnecting…")
    expect(page.get_by_role("status").filter(has_text="The connection is lost.")).to_be_attached()
    missed = add(bill, "Missed", "1")
    page.context.set_offline(False)
    expect(part(page, missed)).to_be_visible()
    expect(mark(page)).to_have_text("Live")
    expect(page.get_by_role("status").filter(has_text="The connection is back.")).to_be_attached()
    assert all("htmx:" in noted for noted in complaints.taken())


def test_a_page_outlives_the_server_and_follows_the_next_one(chromium, database_url, bill, add, engine, complaints):
    user_changes.create(engine, email=f"{Role.VIEWER}@example.com", password=PASSWORD, role=Role.VIEWER)
    settings = Settings(database_url, temporal_address="127.0.0.1:1")
    config = Config(settings, secret_key="a secret of the tests", log_level="ERROR")
    with served(create_app(config)) as address:
        context = complaints.listen(chromium.new_context(base_url=address))
        page = context.new_page()
        sign_in(page, Role.VIEWER)
        page.goto(f"/bills/{bill.id}")
        expect(mark(page)).to_have_text("Live")
    expect(mark(page)).to_have_text("Reconnecting…")
    missed = add(bill, "Missed", "1")
    with served(create_app(config), port=urlsplit(address).port):
        expect(part(page, missed)).to_be_visible()
        expect(mark(page)).to_have_text("Live")
        expect_soon(part(page, add(bill, "Next", "1")))
        context.close()
    assert all("htmx:" in noted for noted in complaints.taken())


def test_without_a_stream_it_asks_every_second_and_is_told_of_nothing_new_in_a_word(open_browser, bill, add):
    page = open_browser()
    page.route("**/stream?*", lambda route: route.fulfill(status=429))
    page.goto(f"/bills/{bill.id}")
    with stopwatch() as took:
        for _ in range(3):
            with page.expect_response(f"**/bills/{bill.id}/changes?*") as answer:
                pass
            assert answer.value.status == 204
    assert took.s < 4
    expect(mark(page)).to_have_text("Live")
    expect_soon(part(page, add(bill, "News", "1")), within_s=2.5)


def test_a_hidden_tab_asks_for_nothing_and_catches_up_when_it_is_shown(follow, bill, add):
    page = follow()
    page.evaluate(HIDE, True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    missed = add(bill, "Missed", "1")
    page.wait_for_timeout(2_500)
    assert asked == []
    expect(part(page, missed)).to_have_count(0)
    page.evaluate(HIDE, False)
    expect_soon(part(page, missed))
    expect_soon(part(page, add(bill, "Next", "1")))


def test_eight_tabs_of_one_browser_all_follow_and_leave_it_room(follow, bill, add):
    first = follow()
    tabs = [first, *(first.context.new_page() for _ in range(7))]
    for tab in tabs[1:]:
        tab.goto(f"/bills/{bill.id}")
    for n in range(2):
        item = add(bill, f"Line {n}", "1")
        for tab in tabs:
            expect_soon(part(tab, item), within_s=3)
            expect(mark(tab)).to_have_text("Live")
    with stopwatch() as took:
        first.goto("/customers")
        expect(first.get_by_role("heading", name="Customers")).to_be_visible()
    assert took.s < 2


def test_when_the_session_has_ended_the_page_says_so_and_keeps_what_was_typed(follow, bill, add, engine):
    page = follow()
    page.get_by_label("Description", exact=True).fill("half a line")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sessions"))
    add(bill, "News", "1")
    expect(mark(page)).to_have_text("Signed out")
    expect(page.locator("#notices")).to_contain_text("What you typed is still here.")
    expect(page.get_by_label("Description", exact=True)).to_have_value("half a line")
    sign_in(page.context.new_page(), Role.OPERATOR)
    expect(mark(page)).to_have_text("Live", timeout=10_000)
    expect(page.locator("#notices")).not_to_contain_text("still here")
    expect(page.get_by_label("Description", exact=True)).to_have_value("half a line")


def test_a_bill_that_closes_is_followed_no_more(follow, bill, engine):
    page = follow()
    bills.request_close(engine, by_the_system("test"), bill.id)
    closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
    expect(part(page, bill, "header").locator(".status.closed")).to_be_visible()
    expect(mark(page)).to_have_count(0)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1_500)
    assert [url for url in asked if "/stream" in url or "/changes" in url] == []


def test_without_script_no_page_says_that_it_is_live(open_browser, bill):
    page = open_browser(script=False)
    page.goto(f"/bills/{bill.id}")
    expect(part(page, bill, "header")).to_be_visible()
    expect(mark(page)).to_have_count(0)
