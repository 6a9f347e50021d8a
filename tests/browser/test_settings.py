"""What is set up once, as an administrator does it: the seller with its logo, currencies, rates; and customers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.ledger import bills, closing, customers, reads, seller, settings, webhook_endpoints
from billing.logo import Logo
from billing.origin import by_the_system
from billing.settings import DEFAULT_CURRENCIES, Settings
from tests.browser.conftest import SECRET
from tests.browser.visits import sign_in
from tests.support.complaints import Complaints
from tests.support.pictures import png
from tests.support.rates_provider import RatesProvider
from tests.support.served import served
from tests.support.visitor import PASSWORD
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import user_changes
from webapp.identity.roles import Role

TEST = by_the_system("test")
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def provider() -> Iterator[RatesProvider]:
    with RatesProvider() as running:
        yield running


@pytest.fixture(scope="module")
def provided(site: str, database_url: str, engine: Engine, provider: RatesProvider) -> Iterator[str]:
    """The same system with a provider of rates, and an administrator."""
    user_changes.create(engine, email=f"{Role.ADMIN}@example.com", password=PASSWORD, role=Role.ADMIN)
    known = Settings(database_url, temporal_address="127.0.0.1:1", oxr_app_id=provider.app_id, oxr_url=provider.url)
    with served(create_app(Config(known, secret_key=SECRET, log_level="ERROR"))) as address:
        yield address


@pytest.fixture
def open_as_admin(chromium: Browser, provided: str, complaints: Complaints) -> Iterator[Open]:
    contexts = []

    def open_(*, script: bool = True) -> Page:
        contexts.append(complaints.listen(chromium.new_context(base_url=provided, java_script_enabled=script)))
        page = contexts[-1].new_page()
        sign_in(page, Role.ADMIN)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    file = tmp_path / "logo.png"
    file.write_bytes(png(120, 40))
    return file


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without script"])
def test_the_seller_is_set_with_its_logo_and_a_closed_bill_has_it(
    open_as_admin: Open,
    engine: Engine,
    bill: Bill,
    logo: Path,
    script: bool,
) -> None:
    seller.change(engine, TEST, seller.Seller("", "", ""))
    page = open_as_admin(script=script)
    page.goto("/settings")
    expect(page.get_by_text("bills closed now name no seller")).to_be_visible()
    page.get_by_label("Name").fill("Pave Services LLC")
    page.get_by_label("Address").fill("12 Rustaveli Avenue\n0108 Tbilisi")
    page.get_by_label("Tax id").fill("GE 404")
    page.locator("#field-logo").set_input_files(logo)
    preview = page.locator(".letterhead")
    if script:
        expect(preview).to_contain_text("Pave Services LLC")
        expect(preview.get_by_role("img", name="Logo")).to_have_js_property("naturalWidth", 120)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("Bills closed from now on have these details")
    expect(preview).to_contain_text("0108 Tbilisi")
    picture = preview.get_by_role("img", name="Logo")
    expect(picture).to_have_attribute("src", f"/logos/{Logo.parse(png(120, 40)).hash}")
    if script:
        expect(picture).to_have_js_property("naturalWidth", 120)
    bills.request_close(engine, TEST, bill.id)
    closing.close_bill(engine, TEST, bill.id, samples=True)
    closed = reads.bill(engine, bill.id).seller
    assert closed is not None
    assert closed.logo == Logo.parse(png(120, 40)).hash


def test_a_file_that_is_no_picture_is_said_beside_it(open_as_admin: Open, tmp_path: Path) -> None:
    script = tmp_path / "logo.svg"
    script.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    page = open_as_admin()
    page.goto("/settings/seller")
    page.get_by_label("Name").fill("Kept Ltd")
    page.locator("#field-logo").set_input_files(script)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-logo-error")).to_have_text("The logo must be a PNG or JPEG picture.")
    expect(page.get_by_label("Name")).to_have_value("Kept Ltd")


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without script"])
def test_currencies_are_taken_away_and_given_back(
    open_as_admin: Open,
    open_browser: Open,
    engine: Engine,
    bill: Bill,
    script: bool,
) -> None:
    page = open_as_admin(script=script)
    page.goto("/settings/currencies")
    for box in page.get_by_role("checkbox").all():
        box.set_checked(False)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("At least one currency must be offered.")).to_be_visible()
    page.get_by_role("checkbox", name="GEL").check()
    page.get_by_role("checkbox", name="JPY").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("New lines can be in these currencies")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    operator = open_browser(script=script)
    operator.wait_for_timeout(1_100)  # the other process follows within a second
    operator.goto(f"/bills/{bill.id}")
    assert operator.get_by_label("Currency", exact=True).locator("option").all_inner_texts() == ["GEL", "JPY"]
    settings.offer(engine, TEST, DEFAULT_CURRENCIES, ceiling=DEFAULT_CURRENCIES)
    operator.wait_for_timeout(1_100)  # and so do all for the next test


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without script"])
def test_rates_are_fetched_by_hand_and_read_per_another_base(
    open_as_admin: Open, engine: Engine, provider: RatesProvider, script: bool
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM rate_refreshes"))
    provider.publish(GEL="2.75", EUR="0.5")
    page = open_as_admin(script=script)
    page.goto("/rates")
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator("#notices")).to_contain_text("New rates are in use")
    expect(page.get_by_role("button", name="Refresh now")).to_be_disabled()
    page.get_by_label("Rates per 1 of").select_option("EUR")
    if not script:
        page.get_by_role("button", name="Show").first.click()
    expect(page.locator("#rates-per-base tr", has_text="GEL")).to_have_text("GEL5.50.181818")
    page.get_by_label("From").focus()
    page.get_by_label("From").select_option("EUR")
    if not script:
        page.get_by_role("button", name="Show").last.click()
    expect(page.locator("#rate-history")).to_contain_text("per 1 EUR")
    expect(page).to_have_url(re.compile("base=EUR&from=EUR"))
    if script:
        expect(page.get_by_label("From")).to_be_focused()


def test_customers_are_searched_as_one_types(open_browser: Open, engine: Engine) -> None:
    for n in range(60):
        customers.register(engine, TEST, f"crowd-{n:02}", {"name": f"Crowd {n:02}"})
    customers.register(engine, TEST, "needle", {"name": "Needle & Thread", "email": "ap@thread.example"})
    page = open_browser()
    page.goto("/customers")
    expect(page.locator("#customer-list tbody tr")).to_have_count(50)
    page.get_by_label("Search", exact=True).press_sequentially("thread.ex")
    expect(page.locator("#customer-list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/customers\?q=thread\.ex$"))
    page.get_by_role("link", name="Needle & Thread").click()
    expect(page.get_by_role("heading", name="Needle & Thread")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Search", exact=True)).to_have_value("thread.ex")


def test_customers_work_without_script(open_browser: Open, engine: Engine) -> None:
    customer, _ = customers.register(engine, TEST, "plain", {"name": "Plain Paper"})
    page = open_browser(script=False)
    page.goto("/customers")
    page.get_by_label("Search", exact=True).fill("plain pa")
    page.locator("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Plain Paper").click()
    page.get_by_role("link", name="Edit").click()
    customers.edit(engine, TEST, "plain", {"email": "theirs@plain.example"})
    page.get_by_label("E-mail").fill("mine@plain.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed this customer meanwhile")).to_be_visible()
    expect(page.get_by_text("Stored now: theirs@plain.example")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("keep the details they were closed with")
    assert reads.customer_by_id(engine, customer.id).email == "mine@plain.example"


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without script"])
def test_a_webhook_is_added_with_a_secret_that_is_shown_once(open_as_admin: Open, engine: Engine, script: bool) -> None:
    page = open_as_admin(script=script)
    page.goto("/settings/webhooks")
    page.get_by_role("link", name="Add webhook").first.click()
    page.get_by_label("Address").fill("http://93.184.216.34/hooks")
    page.get_by_label("Only these:").check()
    page.get_by_label("bill.closed").check()
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("Address must begin with https://.")).to_be_visible()
    expect(page.get_by_label("bill.closed")).to_be_checked()
    page.get_by_label("Address").fill("https://93.184.216.34/hooks")
    page.get_by_role("button", name="Add webhook").click()

    secret = page.get_by_role("textbox", name="Signing secret")
    expect(secret).to_have_value(re.compile(r"^whsec_\S{40,}$"))
    copies = page.get_by_role("button", name="Copy", exact=True)
    if script:
        copies.click()
        expect(page.get_by_role("button", name=re.compile("Copied|Press Ctrl C"))).to_be_visible()
    else:
        expect(copies).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="https://93.184.216.34/hooks")).to_be_visible()
    expect(secret).to_have_count(0)

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused: nothing is sent, and nothing is lost.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Resumed: it goes on from where it stopped.")).to_be_visible()
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    assert webhook_endpoints.every(engine) == []
