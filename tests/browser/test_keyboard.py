"""The console by keyboard alone: keys that lead somewhere, the list of them, the command palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from billing.bill import Bill
from billing.ledger import bills, rollups
from billing.origin import by_the_system
from billing.period import Period
from webapp.pages.element_ids import element_id


@pytest.fixture
def open_bill(engine) -> Callable[[str], Bill]:
    def open_(customer: str) -> Bill:
        now = datetime.now(UTC)
        period = Period(now - timedelta(days=1), now + timedelta(days=30))
        return bills.open_bill(engine, by_the_system("test"), customer, period).bill

    return open_


@pytest.fixture
def page(open_browser) -> Iterator[Page]:
    opened = open_browser()
    opened.goto("/rates")
    return opened


def palette(page: Page):
    return page.get_by_role("dialog", name="Search or jump to")


def selected(page: Page):
    return palette(page).locator("[role=option][aria-selected=true]")


def open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(palette(page)).to_be_visible()
    expect(page.get_by_role("combobox", name="Bill number")).to_be_focused()


def look_for(page: Page, words: str) -> None:
    """Until what is shown is what these words find, and not their beginnings: it would come under the arrows."""
    page.keyboard.type(words)
    expect(palette(page).locator(f"[data-words='{words}']")).to_be_attached()


@pytest.mark.parametrize(
    ("keys", "address", "heading"),
    [
        ("gb", "/bills", "Bills"),
        ("go", "/", "Overview"),
        ("gc", "/customers", "Customers"),
        ("gr", "/rates", "Rates"),
        ("n", "/bills/new", "New bill"),
    ],
)
def test_keys_lead_to_pages(page, keys, address, heading):
    page.goto("/customers" if keys == "gr" else "/rates")
    page.keyboard.type(keys)
    page.wait_for_url(f"**{address}")
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_g_s_leads_to_the_settings(page):
    page.keyboard.type("gs")
    page.wait_for_url("**/settings/*")


def test_keys_rest_while_somebody_types_and_with_modifiers(page):
    page.goto("/bills/new")
    field = page.locator("main input:not([type=hidden]):not([type=checkbox])").first
    field.fill("")
    field.press_sequentially("n?/gb")
    expect(field).to_have_value("n?/gb")
    page.goto("/rates")
    for keys in ("Control+b", "Alt+n", "Meta+n", "Shift+N"):
        page.keyboard.press(keys)
    page.wait_for_timeout(200)
    assert page.url.endswith("/rates")


def test_a_first_key_is_forgotten_after_a_while_and_by_another(page):
    page.clock.install()
    page.goto("/rates")
    page.keyboard.press("g")
    page.keyboard.press("x")
    page.keyboard.press("b")
    page.keyboard.press("g")
    page.clock.fast_forward(1_100)
    page.keyboard.press("b")
    page.wait_for_timeout(200)
    assert page.url.endswith("/rates")


def test_a_slash_focuses_the_pages_own_search_or_opens_the_palette(page):
    page.goto("/bills")
    page.keyboard.press("/")
    expect(page.locator("main input[type=search]").first).to_be_focused()
    expect(page.locator("main input[type=search]").first).to_have_value("")
    page.goto("/rates")
    page.keyboard.press("/")
    expect(palette(page)).to_be_visible()
    expect(page.get_by_role("combobox", name="Bill number")).to_have_value("")


def test_a_question_mark_lists_the_keys_and_focus_comes_back(page):
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name="Customers")
    link.focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("New bill")
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()
    assert page.url.endswith("/rates")


def test_single_keys_can_be_switched_off_and_on_again(page):
    page.keyboard.press("?")
    switch = page.get_by_label("Single keys are on")
    expect(switch).to_be_checked()
    switch.press("Space")
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.type("gb?")
    page.wait_for_timeout(200)
    assert page.url.endswith("/rates")
    open_palette(page)
    page.keyboard.press("Escape")
    page.goto("/shortcuts")
    expect(page.get_by_label("Single keys are on")).not_to_be_checked()
    page.get_by_label("Single keys are on").press("Space")
    page.locator("h1").click()
    page.keyboard.type("gb")
    page.wait_for_url("**/bills")


def test_a_bill_is_found_and_opened_without_a_mouse(page, open_bill):
    bill = open_bill("halden-optics")
    open_palette(page)
    expect(selected(page)).to_have_attribute("href", "/bills/new")
    look_for(page, "halden")
    expect(selected(page)).to_contain_text("halden-optics")
    active = page.get_by_role("combobox", name="Bill number").get_attribute("aria-activedescendant")
    assert active == selected(page).get_attribute("id")
    expect(page.locator("#palette-said")).to_have_text("2 found")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/bills/{bill.id}")


def test_the_arrows_walk_through_all_groups_and_around(page, open_bill):
    bill = open_bill("walked-through")
    open_palette(page)
    look_for(page, "walked")
    expect(selected(page)).to_have_attribute("href", f"/bills/{bill.id}")
    page.keyboard.press("ArrowDown")
    expect(selected(page)).to_have_attribute("href", f"/customers/{bill.customer.id}")
    page.keyboard.press("ArrowDown")
    expect(selected(page)).to_have_attribute("href", f"/bills/{bill.id}")
    page.keyboard.press("ArrowUp")
    expect(selected(page)).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/customers/{bill.customer.id}")


def test_enter_is_meant_for_what_is_still_looked_for(page, open_bill):
    bill = open_bill("quickly-typed")
    open_palette(page)
    page.keyboard.type("quickly")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/bills/{bill.id}")


def test_an_action_is_done_from_the_palette(page):
    open_palette(page)
    page.keyboard.type("new cust")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/new")


def test_escape_closes_it_and_focus_comes_back_and_ctrl_k_closes_it_too(page):
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name="Customers")
    link.focus()
    open_palette(page)
    page.keyboard.type("half a wo")
    page.keyboard.press("Escape")
    expect(palette(page)).to_have_count(0)
    expect(link).to_be_focused()
    open_palette(page)
    page.keyboard.press("Control+k")
    expect(palette(page)).to_have_count(0)
    expect(link).to_be_focused()


def test_it_opens_while_typing_and_leaves_what_was_typed(page):
    page.goto("/bills/new")
    field = page.locator("main input:not([type=hidden]):not([type=checkbox])").first
    field.fill("half a customer")
    open_palette(page)
    page.keyboard.press("Escape")
    expect(field).to_be_focused()
    expect(field).to_have_value("half a customer")


def test_what_nobody_is_called_is_said(page):
    open_palette(page)
    look_for(page, "nobody-of-this-name")
    expect(palette(page)).to_contain_text("Nothing is called “nobody-of-this-name”")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#palette-said")).to_have_text("Nothing found")
    assert page.url.endswith("/rates")


def test_a_lost_connection_is_said_and_mends_itself(page, open_bill, complaints):
    open_bill("found-again")
    page.route("**/palette?*", lambda route: route.abort())
    open_palette(page)
    expect(page.locator("#palette-failed")).to_be_visible()
    page.unroute("**/palette?*")
    page.keyboard.type("found-again")
    expect(selected(page)).to_contain_text("found-again")
    expect(page.locator("#palette-failed")).to_be_hidden()
    # htmx notes what it could not send.
    assert all("/htmx.js: htmx:" in text for text in complaints.taken())


def test_a_click_beside_it_closes_it_and_the_button_opens_it(page):
    page.get_by_role("button", name="Search or jump").click()
    expect(palette(page)).to_be_visible()
    page.mouse.click(5, 700)
    expect(palette(page)).to_have_count(0)


def test_the_skip_link_comes_first_and_leads_to_the_content(page):
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/#main")


def test_without_script_the_rail_searches_bills(open_browser, open_bill):
    open_bill("without-script")
    page = open_browser(script=False)
    expect(page.get_by_role("button", name="Search or jump")).to_have_count(0)
    page.get_by_label("Search bills by number or customer").fill("without-script")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bills?q=without-script")


def test_on_a_phone_every_section_is_reached_by_keyboard(page, engine):
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto("/")
    for name in ("Overview", "Bills", "Customers", "Rates", "Settings"):
        link = page.locator(".sections").get_by_role("link", name=name)
        link.focus()
        expect(link).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.usefixtures("one_day")
def test_the_overviews_currency_is_chosen_by_keyboard(page, engine, open_bill, add):
    add(open_bill("overview"), "Fee", "100", "JPY")
    while rollups.follow(engine):
        pass
    page.goto("/")
    chosen = page.get_by_label("in which currency the whole is shown")
    chosen.focus()
    chosen.select_option("JPY")
    expect(page.locator(f"#{element_id('overview', 'whole')}")).to_contain_text("100 JPY")
    expect(page.get_by_label("in which currency the whole is shown")).to_be_focused()
    page.wait_for_url("**/?accrual=USD&in=JPY")
    page.get_by_label("in which currency accrual is shown").select_option("JPY")
    expect(page.locator(".chart-drawing title").first).to_have_text("Accrual per day in JPY")
    page.wait_for_url("**/?in=JPY&accrual=JPY")
