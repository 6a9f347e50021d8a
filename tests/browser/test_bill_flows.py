"""What an operator does on a bill's page: by keyboard, in a hurry, beside others, and without script."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from billing.ledger import bills, reads
from tests.browser.elements import rows
from webapp.pages.element_ids import element_id

MOST_TABS = 60


def tab_to(page: Page, selector: str) -> None:
    """With the keyboard alone, as somebody without a mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} isn't reached with Tab")


def fill_line(page: Page, description: str, quantity: str, price: str, code: str) -> None:
    page.get_by_label("Description", exact=True).fill(description)
    page.get_by_label("Quantity").fill(quantity)
    page.get_by_label("Unit price").fill(price)
    page.get_by_label("Currency", exact=True).select_option(code)


def test_five_lines_in_three_currencies_by_keyboard_alone(open_browser, bill, engine):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    tab_to(page, "#add-description")
    lines = [("Cards", "GEL"), ("Wires", "GEL"), ("Custody", "JPY"), ("Payouts", "KWD"), ("Reports", "KWD")]
    for count, (description, code) in enumerate(lines, 1):
        expect(page.locator("#add-description")).to_be_focused()
        for typed in (description, "6", "1.5"):
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
        if page.locator("#add-currency").input_value() != code:
            page.keyboard.type(code)
        page.keyboard.press("Enter")
        expect(rows(page, bill)).to_have_count(count)
    expect(page.locator("#add-currency")).to_have_value("KWD")
    subtotals = {code: str(amount) for code, amount in reads.bill(engine, bill.id).subtotals}
    assert subtotals == {"GEL": "18", "JPY": "9", "KWD": "18"}


def test_what_a_line_comes_to_is_shown_exactly_while_it_is_typed(open_browser, bill):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    amount = page.locator("#add-total")
    for quantity, price, total in [
        ("1840", "0.0125", "23"),
        ("0.1", "0.2", "0.02"),
        ("2418000", "0.00000125", "3.0225"),
        ("999999999999.999999", "1000.000000000001", "1,000,000,000,000,000.998999999999999999"),
        ("1,5", "2", ""),
        ("", "2", ""),
    ]:
        page.get_by_label("Quantity").fill(quantity)
        page.get_by_label("Unit price").fill(price)
        expect(amount).to_have_text(total)


def test_twenty_double_clicks_add_one_item(open_browser, bill, engine):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    fill_line(page, "Wire fee", "1", "60", "GEL")
    button = page.get_by_role("button", name="Add line")
    box = button.bounding_box()
    for _ in range(20):
        page.mouse.dblclick(box["x"] + 5, box["y"] + 5)
    expect(rows(page, bill)).to_have_count(1)
    page.wait_for_timeout(300)
    assert reads.bill(engine, bill.id).item_count == 1


def test_twenty_double_clicks_reverse_a_line_once_and_close_a_bill_once(open_browser, bill, add, engine):
    add(bill, "Wire fee", "60", "GEL")
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Reverse Wire fee").click()
    page.get_by_label("Reason").fill("sent twice")
    _hammer(page, "Reverse line")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(rows(page, bill)).to_have_count(2)
    page.get_by_role("link", name="Close bill").click()
    _hammer(page, "Close bill")
    expect(page.locator("#notices")).to_contain_text("finishes by itself")
    stored = reads.bill(engine, bill.id)
    assert (stored.item_count, stored.version) == (2, 4)


def _hammer(page: Page, name: str) -> None:
    """Twenty double clicks in one go, faster than any answer."""
    page.get_by_role("dialog").get_by_role("button", name=name).evaluate(
        "button => { for (let n = 0; n < 40; n += 1) button.click(); }"
    )


def test_going_back_and_sending_again_adds_nothing(open_browser, bill, engine):
    page = open_browser(script=False)
    page.goto(f"/bills/{bill.id}")
    fill_line(page, "Wire fee", "1", "60", "GEL")
    page.get_by_role("button", name="Add line").click()
    expect(rows(page, bill)).to_have_count(1)
    page.go_back()
    page.get_by_role("button", name="Add line").click()
    expect(rows(page, bill)).to_have_count(1)
    page.get_by_role("link", name="Paste rows").click()
    page.get_by_label("Rows", exact=True).fill("Wire fee\t1\t60\tGEL\nCustody\t30\t1200\tJPY")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Add 2 lines").click()
    added = page.get_by_role("heading", name="2 lines added")
    expect(added).to_be_visible()
    page.reload()
    expect(added).to_be_visible()
    assert reads.bill(engine, bill.id).item_count == 3


def test_a_figure_explains_itself_to_the_keyboard(open_browser, bill, add):
    add(bill, "Wire fee", "60.005", "GEL")
    page = open_browser()
    page.goto(f"/bills/{bill.id}?currency=USD")
    tab_to(page, ".ask")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Whole bill in USD")).to_be_focused()
    expect(dialog).to_contain_text("60.01 GEL ÷")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".ask")).to_be_focused()
    tab_to(page, ".why:has(.payable)")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("0.005")
    page.get_by_role("dialog").get_by_role("link", name="Done").press("Enter")
    expect(page.locator(".why:has(.payable)")).to_be_focused()


def test_lines_are_filtered_as_one_types_and_the_filter_follows_the_bill(open_browser, bill, add):
    for n in range(3):
        add(bill, f"Wire fee {n}", "1")
        add(bill, f"Card fee {n}", "1")
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    found = page.locator(f"#{element_id(bill, 'found')} tr")
    page.get_by_role("searchbox", name="Filter lines").press_sequentially("wire")
    expect(found).to_have_count(3)
    expect(rows(page, bill).first).to_be_hidden()
    page.wait_for_url("**?q=wire")
    add(bill, "Another wire", "1")
    expect(found).to_have_count(4)
    page.reload()
    expect(found).to_have_count(4)
    expect(page.get_by_role("searchbox", name="Filter lines")).to_have_value("wire")
    page.get_by_role("searchbox", name="Filter lines").fill("")
    expect(found).to_have_count(0)
    expect(rows(page, bill)).to_have_count(7)
    expect(rows(page, bill).first).to_be_visible()


def test_a_period_changed_by_somebody_else_keeps_what_was_typed(open_browser, bill, engine, origin):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Change period").click()
    end = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%M}"
    page.get_by_label("Period end").fill(end)
    bills.change_period(engine, origin, bill.id, bill.period.end + timedelta(days=1))
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Change period").click()
    expect(dialog.get_by_role("alert")).to_contain_text("moved the end meanwhile")
    expect(dialog.get_by_label("Period end")).to_have_value(end)
    dialog.get_by_role("button", name="Change period").click()
    expect(page.locator("#notices")).to_contain_text("now closes by itself")
    assert f"{reads.bill(engine, bill.id).period.end:%Y-%m-%dT%H:%M}" == end


def test_a_line_is_added_on_a_phone(open_browser, bill):
    page = open_browser()
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"/bills/{bill.id}")
    fill_line(page, "Wire fee", "2", "60", "GEL")
    expect(page.locator("#add-total")).to_have_text("120")
    page.get_by_role("button", name="Add line").click()
    expect(rows(page, bill)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_same_flows_without_script(open_browser, bill, add, engine):
    item = add(bill, "Wire fee", "60.005", "GEL")
    page = open_browser(script=False)
    page.goto(f"/bills/{bill.id}?currency=USD")
    page.locator(".ask").click()
    expect(page.get_by_role("heading", name="Whole bill in USD")).to_be_visible()
    page.get_by_role("link", name="Back to the bill").click()
    page.locator(f"#{element_id(item)} .why").click()
    expect(page.locator(".reckoning")).to_contain_text("60.005")
    page.get_by_role("link", name="Back to the bill").click()
    page.get_by_role("searchbox", name="Filter lines").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No line says “nothing”.")).to_be_visible()
    page.get_by_role("link", name="All lines").click()
    expect(rows(page, bill)).to_have_count(1)
    page.get_by_role("link", name="Close bill").click()
    add(bill, "Late fee", "5", "GEL")
    page.get_by_role("button", name="Close bill").click()
    expect(page.get_by_role("alert")).to_contain_text("changed meanwhile")
    expect(page.locator(".closure")).to_contain_text("65.005")
    page.get_by_role("button", name="Close bill").click()
    expect(page.locator("#notices")).to_contain_text("finishes by itself")
    assert not reads.bill(engine, bill.id).is_open
