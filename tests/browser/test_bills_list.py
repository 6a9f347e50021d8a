"""The list of bills in a browser: searching, filtering, sorting, moving by keyboard, closing many, exporting."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from billing.bill import Bill
from billing.ledger import bills, reads
from billing.origin import by_the_system
from billing.period import Period
from webapp.pages.element_ids import element_id


@pytest.fixture
def mark() -> str:
    """What the names of this test's customers begin with."""
    return f"c{uuid4().hex[:10]}"


@pytest.fixture
def three(engine, mark) -> list[Bill]:
    """Bills of customers a, b and c; the first ends last."""
    now = datetime.now(UTC)
    return [
        bills.open_bill(engine, by_the_system("test"), f"{mark}-{name}", Period(now, now + timedelta(days=30 - n))).bill
        for n, name in enumerate("abc")
    ]


def row(page: Page, bill: Bill):
    return page.locator(f"#{element_id(bill)}")


def order(page: Page) -> list[str]:
    return [text[-1] for text in page.locator(".row-link").evaluate_all("all => all.map(a => a.firstChild.data)")]


def test_the_list_follows_what_is_typed_and_back_leads_before_it(open_browser, three, mark):
    page = open_browser()
    page.goto("/rates")
    page.goto("/bills")
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type(f"{mark}-b")
    expect(page.locator(".row-link")).to_have_count(1)
    expect(row(page, three[1])).to_be_visible()
    page.wait_for_url(f"**/bills?q={mark}-b")
    page.locator(".row-link").click()
    page.wait_for_url(f"**/bills/{three[1].id}")
    page.go_back()
    expect(page.get_by_label("Search", exact=True)).to_have_value(f"{mark}-b")
    expect(page.locator(".row-link")).to_have_count(1)
    page.go_back()
    page.wait_for_url("**/rates")


def test_filters_become_chips_and_back_takes_them_away(open_browser, three, mark, add):
    add(three[0], "Fee", "1", "KWD")
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Currency on the bill").select_option("KWD")
    expect(page.locator(".row-link")).to_have_count(1)
    page.get_by_label("Show the whole of each bill in").select_option("USD")
    expect(page.get_by_role("columnheader", name="Whole in USD")).to_be_visible()
    page.wait_for_url(f"**/bills?q={mark}&currency=KWD&in=USD")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Currency on the bill")).to_be_hidden()
    expect(page.locator("summary", has_text="Filter")).to_be_focused()
    page.get_by_role("link", name="Remove the filter Whole in: USD").click()
    page.wait_for_url(f"**/bills?q={mark}&currency=KWD")
    expect(page.locator(".chip")).to_have_count(1)
    page.go_back()
    page.wait_for_url(f"**/bills?q={mark}&currency=KWD&in=USD")
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    page.wait_for_url(f"**/bills?q={mark}&currency=KWD")
    expect(page.locator(".chip")).to_have_count(1)
    page.wait_for_load_state()
    page.go_back()
    page.wait_for_url(f"**/bills?q={mark}")
    expect(page.locator(".row-link")).to_have_count(3)
    expect(page.locator(".chip")).to_have_count(0)


def test_headings_sort_by_keyboard_and_stay_focused(open_browser, three, mark):
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    assert order(page) == ["c", "b", "a"]
    page.get_by_role("link", name="Customer", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Customer")).to_have_attribute("aria-sort", "ascending")
    assert order(page) == ["a", "b", "c"]
    expect(page.locator("#sort-customer")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Customer")).to_have_attribute("aria-sort", "descending")
    page.wait_for_url(f"**/bills?q={mark}&sort=-customer")
    # The order stays when the search changes.
    page.get_by_label("Search", exact=True).fill(f"{mark}-")
    page.wait_for_url(f"**/bills?q={mark}-&sort=-customer")
    assert order(page) == ["c", "b", "a"]


def test_rows_are_walked_chosen_and_opened_by_keyboard(open_browser, three, mark):
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    page.keyboard.press("j")
    expect(row(page, three[2]).locator(".row-link")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    expect(row(page, three[0]).locator(".row-link")).to_be_focused()
    page.keyboard.press("j")
    expect(row(page, three[0]).locator(".row-link")).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.locator(".picked-count")).to_have_text("2 selected")
    expect(row(page, three[0]).locator("input")).to_be_checked()
    expect(page.get_by_role("button", name="Duplicate")).to_be_hidden()
    page.keyboard.press("x")
    expect(page.locator(".picked-count")).to_have_text("1 selected")
    expect(page.get_by_role("button", name="Duplicate")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/bills/{three[1].id}")


def test_keys_rest_while_somebody_searches(open_browser, three, mark):
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.press("End")
    page.keyboard.type("jkx")
    expect(page.get_by_label("Search", exact=True)).to_have_value(f"{mark}jkx")
    expect(page.get_by_text("No bills match")).to_be_visible()


def test_many_are_closed_at_once_and_the_one_that_changed_is_left_open(open_browser, three, mark, add, engine):
    add(three[0], "Fee", "10")
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    expect(page.get_by_role("button", name="Close selected")).to_be_hidden()
    page.get_by_label("Select all bills of this page").check()
    expect(page.locator(".picked-count")).to_have_text("3 selected")
    page.get_by_role("button", name="Close selected").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Close 3 bills?")
    expect(page.get_by_role("region", name="Together")).to_contain_text("10.00 USD")
    add(three[1], "Late fee", "5")
    page.get_by_role("button", name="Close 3 bills").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 bills take no more lines, 1 left open")
    expect(page.get_by_role("region", name="Not closed")).to_contain_text(f"{mark}-b")
    assert [reads.bill(engine, bill.id).is_open for bill in three] == [False, True, False]


@pytest.mark.usefixtures("one_day")
def test_what_is_filtered_is_exported(open_browser, three, mark, add):
    add(three[0], "Fee", "10")
    page = open_browser()
    page.goto(f"/bills?q={mark}")
    page.get_by_label("Search", exact=True).fill(f"{mark}-a")
    page.wait_for_url(f"**/bills?q={mark}-a")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert download.value.suggested_filename == f"bills-{datetime.now(UTC):%Y-%m-%d}.csv"
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:  # noqa: PTH123
        (line,) = csv.DictReader(file)
    assert (line["customer_id"], line["payable"]) == (f"{mark}-a", "10.00")


def test_all_of_it_works_without_script(open_browser, three, mark, add, engine):
    add(three[0], "Fee", "1", "KWD")
    page = open_browser(script=False)
    page.goto("/bills")
    page.get_by_label("Search", exact=True).fill(mark)
    page.keyboard.press("Enter")
    expect(page.locator(".row-link")).to_have_count(3)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Currency on the bill").select_option("KWD")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".row-link")).to_have_count(1)
    page.get_by_role("link", name="Remove the filter Currency: KWD").click()
    page.get_by_role("link", name="Customer", exact=True).click()
    assert order(page) == ["a", "b", "c"]
    with page.expect_download():
        page.get_by_role("link", name="Export CSV").click()
    for bill in three[1:]:
        row(page, bill).get_by_role("checkbox").check()
    page.get_by_role("button", name="Close selected").click()
    page.get_by_role("button", name="Close 2 bills").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 bills take no more lines")
    assert [reads.bill(engine, bill.id).is_open for bill in three] == [True, False, False]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_hangs_out_of_the_window(open_browser, three, mark, width):
    page = open_browser()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/bills?q={mark}&in=USD&status=open")
    page.get_by_text("Filter", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".drop-body").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
