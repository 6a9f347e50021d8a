"""Opening a bill in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page, expect

from billing.bill import Bill
from billing.ledger import bills, customers, reads
from billing.origin import by_the_system
from billing.period import Period
from tests.browser.visits import sign_in
from webapp.identity.roles import Role


@pytest.fixture
def mark() -> str:
    return f"c{uuid4().hex[:10]}"


@pytest.fixture
def acme(engine, mark) -> str:
    """A customer that is known; its id."""
    customers.register(engine, by_the_system("test"), mark, {"name": f"Acme {mark[1:]} Ltd"})
    return mark


def customer(page: Page):
    return page.get_by_role("combobox", name="Customer")


def opened(page: Page, engine) -> Bill:
    expect(page.get_by_text("No lines yet.")).to_be_visible()
    return reads.bill(engine, UUID(page.url.split("?")[0].rsplit("/", 1)[1]))


@pytest.mark.usefixtures("one_day")
def test_a_bill_for_somebody_new_is_opened_by_keyboard_alone(open_browser, engine, mark):
    page = open_browser()
    page.goto("/bills")
    page.keyboard.press("n")
    page.wait_for_url("**/bills/new")
    expect(customer(page)).to_be_focused()
    page.keyboard.type(mark)
    expect(page.get_by_role("checkbox", name=f"Register “{mark}”")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Newcomer & Sons")
    page.keyboard.press("Tab")
    page.keyboard.type("ap@newcomer.example")
    page.keyboard.press("Tab")
    page.keyboard.type("1 High Street")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="This month")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Next month")).to_be_checked()
    today = datetime.now(UTC)
    first = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    expect(page.locator("#period-instants")).to_contain_text(f"1 {first:%b %Y}, 00:00")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Time zone")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    bill = opened(page, engine)
    assert (bill.customer.external_id, bill.customer.name) == (mark, "Newcomer & Sons")
    assert bill.period.start == first
    assert reads.customer(engine, mark).billing_address == "1 High Street"


def test_a_known_customer_is_found_by_name(open_browser, engine, acme):
    page = open_browser()
    page.goto("/bills/new")
    customer(page).fill(f"{acme[3:]} lt")
    expect(page.locator("#customers option")).to_have_count(1)
    expect(page.locator("#customers option")).to_have_attribute("value", acme)
    expect(page.get_by_role("checkbox", name="Register")).not_to_be_checked()
    customer(page).fill(acme)
    expect(page.locator(".picked-customer")).to_contain_text("Ltd")
    page.get_by_role("button", name="Open bill").click()
    assert opened(page, engine).customer.external_id == acme


def test_what_was_typed_of_somebody_new_outlives_a_mended_id(open_browser, mark):
    page = open_browser()
    page.goto("/bills/new")
    customer(page).fill(mark)
    page.get_by_label("Name").fill("Newcomer")
    customer(page).fill(f"{mark}-2")
    expect(page.get_by_role("checkbox", name=f"Register “{mark}-2”")).to_be_checked()
    expect(page.get_by_label("Name")).to_have_value("Newcomer")


def test_the_exact_instants_follow_period_and_time_zone(open_browser, engine, acme):
    page = open_browser()
    page.goto("/bills/new")
    instants = page.locator("#period-instants")
    customer(page).fill(acme)
    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Time zone").select_option("Asia/Tbilisi")
    start = datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC)
    page.get_by_label("Period start").fill(f"{start:%Y-%m-%dT00:00}")
    page.get_by_label("Period end").fill(f"{start.year}-02-01T00:00")
    expect(instants).to_contain_text(f"31 Dec {start.year - 1}, 20:00")
    expect(instants).to_contain_text("31 days")
    page.get_by_label("Period end").fill(f"{start.year - 1}-02-01T00:00")
    expect(instants).to_contain_text("Period end must be after period start.")
    page.get_by_role("button", name="Open bill").click()
    expect(page.locator("#field-period_end-error")).to_be_visible()
    expect(customer(page)).to_have_value(acme)
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tbilisi")
    page.get_by_label("Period end").fill(f"{start.year}-02-01T00:00")
    page.get_by_role("button", name="Open bill").click()
    assert opened(page, engine).period.end == datetime(start.year, 1, 31, 20, tzinfo=UTC)
    page.goto("/bills/new")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tbilisi")


def test_the_browsers_own_time_zone_is_the_first_guess(chromium, site, complaints):
    context = complaints.listen(chromium.new_context(base_url=site, timezone_id="Europe/Berlin"))
    page = context.new_page()
    sign_in(page, Role.OPERATOR)
    page.goto("/bills/new")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.locator("#period-instants")).to_contain_text(":00 UTC")
    expect(page.locator("#period-instants time").first).not_to_contain_text("00:00")
    context.close()


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize("script", [True, False])
def test_one_like_another_has_its_customer_the_next_period_and_chosen_lines(open_browser, engine, mark, add, script):
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    earlier = bills.open_bill(engine, by_the_system("test"), mark, Period(start, end)).bill
    add(earlier, "Platform fee", "249")
    add(earlier, "One-off", "5")
    page = open_browser(script=script)
    page.goto(f"/bills?q={mark}")
    page.get_by_label(f"Select the bill of {mark}").check()
    page.get_by_role("button", name="Duplicate").click()
    expect(customer(page)).to_have_value(mark)
    page.get_by_label("Charge again: Platform fee").check()
    page.get_by_role("button", name="Open bill").click()
    expect(page.locator("#notices")).to_contain_text("Opened with 1 line of the earlier bill.")
    bill = reads.bill(engine, UUID(page.url.rsplit("/", 1)[1]))
    assert bill.period.start == end
    assert (bill.item_count, [str(amount) for _, amount in bill.subtotals]) == (1, ["249"])


def test_somebody_new_is_registered_without_script(open_browser, engine, mark):
    page = open_browser(script=False)
    page.goto("/bills/new")
    customer(page).fill(mark)
    page.get_by_role("radio", name="This quarter").check()
    page.get_by_role("button", name="Open bill").click()
    expect(page.locator("#field-customer_id-error")).to_contain_text("Nobody is known by this id")
    expect(page.get_by_role("checkbox", name=f"Register “{mark}”")).to_be_checked()
    expect(page.get_by_role("radio", name="This quarter")).to_be_checked()
    page.get_by_label("Name").fill("Newcomer")
    page.get_by_role("button", name="Open bill").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert reads.customer(engine, mark).name == "Newcomer"
