"""The bill's page in a browser, as an operator works with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from playwright.sync_api import Page, expect

from billing.ledger import bills, reads
from billing.origin import by_the_system
from billing.period import Period
from tests.browser.elements import rows
from tests.support.stopwatch import tries
from webapp.pages.element_ids import element_id

LIVE_S = 2.0


def type_line(page: Page, description: str, quantity: str, price: str, code: str) -> None:
    page.get_by_label("Description", exact=True).fill(description)
    page.get_by_label("Quantity").fill(quantity)
    page.get_by_label("Currency", exact=True).select_option(code)
    page.get_by_label("Unit price").fill(price)


def test_a_bill_is_opened_and_lines_are_added_with_enter(open_browser, engine):
    page = open_browser()
    page.locator("header").get_by_role("link", name="New bill").click()
    page.get_by_role("combobox", name="Customer").fill("hung")
    expect(page.get_by_role("checkbox", name="Register “hung”")).to_be_checked()
    page.get_by_role("button", name="Open bill").click()
    expect(page.get_by_text("No lines yet.")).to_be_visible()
    bill = reads.bill(engine, UUID(page.url.rsplit("/", 1)[1]))

    type_line(page, "Card processing", "6", "0.6", "GEL")
    page.keyboard.press("Enter")
    expect(rows(page, bill)).to_have_count(1)
    expect(page.get_by_label("Description", exact=True)).to_be_focused()
    expect(page.get_by_label("Description", exact=True)).to_have_value("")
    expect(page.get_by_label("Currency", exact=True)).to_have_value("GEL")
    type_line(page, "Custody", "1", "36000", "JPY")
    page.keyboard.press("Enter")
    expect(rows(page, bill)).to_have_count(2)
    expect(rows(page, bill).first).to_contain_text("36,000 JPY")
    expect(page.locator(f"#{element_id(bill, 'items')} .fresh")).to_have_count(1)
    expect(rows(page, bill).first).to_have_class("fresh")
    expect(page.locator(f"#{element_id(bill, 'total-GEL')}")).to_contain_text("3.60 GEL")
    expect(page.locator(f"#{element_id(bill, 'item-count')}")).to_have_text("2")


def test_a_mistake_is_shown_in_place_and_the_line_can_be_mended(open_browser, bill):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    type_line(page, "Card processing", "0", "0.6", "GEL")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Quantity must be greater than zero.")).to_be_visible()
    expect(page.get_by_label("Quantity")).to_be_focused()
    page.get_by_label("Quantity").fill("2")
    page.keyboard.press("Enter")
    expect(rows(page, bill)).to_have_count(1)
    expect(page.get_by_text("Quantity must be greater than zero.")).to_have_count(0)


def test_what_others_add_appears_within_two_seconds_and_leaves_typing_alone(open_browser, bill, add):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_label("Description", exact=True).press_sequentially("half a li")
    for count in tries(within_s=LIVE_S):
        item = add(bill, f"From elsewhere {count}", "12.5", "EUR")
        expect(page.locator(f"#{element_id(item)}")).to_be_visible()
    expect(page.locator(f"#{element_id(bill, 'total-EUR')}")).to_contain_text(f"{count * 12.5:.2f} EUR")
    page.keyboard.type("ne")
    expect(page.get_by_label("Description", exact=True)).to_have_value("half a line")
    expect(page.get_by_label("Description", exact=True)).to_be_focused()
    page.get_by_label("Quantity").fill("1")
    page.get_by_label("Unit price").fill("1")
    page.keyboard.press("Enter")
    expect(rows(page, bill)).to_have_count(count + 1)


def test_sending_a_line_twice_at_once_adds_it_once(open_browser, bill, engine):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    type_line(page, "Wire fee", "1", "60", "GEL")
    page.get_by_role("button", name="Add line").dblclick()
    expect(rows(page, bill)).to_have_count(1)
    assert reads.bill(engine, bill.id).item_count == 1


def test_a_line_is_reversed_in_a_dialog(open_browser, bill, add):
    item = add(bill, "Wire fee", "60", "GEL")
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Reverse Wire fee").click()
    page.get_by_role("dialog").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="Reverse Wire fee").click()
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Reason is required.")).to_be_visible()
    page.get_by_label("Reason").fill("sent twice")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(rows(page, bill)).to_have_count(2)
    expect(page.locator(f"#{element_id(item)}")).to_contain_text("reversed: sent twice")
    expect(page.get_by_role("link", name="Reverse Wire fee")).to_have_count(0)


def test_closing_asks_first_and_asks_again_when_the_bill_changed(open_browser, bill, add, engine):
    add(bill, "Fee", "10")
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Close bill").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("10.00 USD")
    add(bill, "Late fee", "5")
    dialog.get_by_role("button", name="Close bill").click()
    expect(dialog.get_by_role("alert")).to_contain_text("changed meanwhile")
    expect(dialog).to_contain_text("15.00 USD")
    dialog.get_by_role("button", name="Close bill").click()
    expect(page.locator("#notices")).to_contain_text("finishes by itself")
    expect(page.locator("#add-row")).to_have_count(0)
    assert not reads.bill(engine, bill.id).is_open


def test_older_lines_are_fetched_below_and_the_whole_bill_is_shown_in_another_currency(open_browser, bill, add):
    for n in range(53):
        add(bill, f"Line {n}", "1")
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Older lines").click()
    expect(rows(page, bill)).to_have_count(53)
    expect(page.get_by_role("link", name="Older lines")).to_have_count(0)
    page.get_by_label("Show the whole bill in").select_option("JPY")
    expect(page.locator(f"#{element_id(bill, 'totals')} .grand")).to_contain_text("JPY")
    page.wait_for_url("**?currency=JPY")
    add(bill, "One more", "1")
    expect(rows(page, bill)).to_have_count(54)
    expect(page.locator(f"#{element_id(bill, 'totals')} .grand")).to_contain_text("JPY")


def test_the_list_follows_what_is_typed(open_browser, bill, engine):
    now = datetime.now(UTC)
    other = bills.open_bill(engine, by_the_system("t"), "somebody-else", Period(now, now + timedelta(days=1))).bill
    page = open_browser()
    page.goto("/bills")
    page.keyboard.press("/")
    page.keyboard.type("somebody")
    expect(page.locator(f"#{element_id(bill)}")).to_have_count(0)
    expect(page.locator(f"#{element_id(other)}")).to_be_visible()
    page.wait_for_url("**/bills?q=somebody")
    page.get_by_role("link", name="open").click()
    page.wait_for_url(f"**/bills/{other.id}")
    page.go_back()
    expect(page.get_by_label("Search", exact=True)).to_have_value("somebody")


def test_all_of_it_works_without_script(open_browser, bill, engine):
    page = open_browser(script=False)
    page.goto(f"/bills/{bill.id}")
    type_line(page, "Wire fee", "1", "60", "GEL")
    page.get_by_role("button", name="Add line").click()
    expect(rows(page, bill)).to_have_count(1)
    type_line(page, "Card fee", "x", "1", "GEL")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Quantity must be a decimal number.")).to_be_visible()
    page.get_by_role("link", name="Reverse Wire fee").click()
    page.get_by_label("Reason").fill("sent twice")
    page.get_by_role("button", name="Reverse line").click()
    expect(rows(page, bill)).to_have_count(2)
    page.get_by_label("Show the whole bill in").select_option("EUR")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(f"#{element_id(bill, 'totals')} .grand")).to_contain_text("EUR")
    page.get_by_role("link", name="Change period").click()
    page.get_by_label("Period end").fill(f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Change period").click()
    expect(page.locator("#notices")).to_contain_text("now closes by itself")
    page.get_by_role("link", name="Close bill").click()
    page.get_by_role("button", name="Close bill").click()
    expect(page.locator("#notices")).to_contain_text("finishes by itself")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not reads.bill(engine, bill.id).is_open
