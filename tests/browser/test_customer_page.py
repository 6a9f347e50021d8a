"""The page that a customer sees, in a browser of somebody who has no account here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from billing.bill import Bill
from tests.browser.visits import WIDTHS
from tests.support.complaints import Complaints
from tests.support.ledger import OpenBill
from tests.support.sharing import LINES, Sharing
from tests.support.stopwatch import tries
from webapp.documents import pdf
from webapp.pages.element_ids import element_id

SECRET = "a secret of the tests"
AXE = Axe()


@pytest.fixture
def sharing(engine, origin) -> Sharing:
    return Sharing(engine, origin, SECRET)


@pytest.fixture
def bill(sharing: Sharing, open_bill: OpenBill) -> Bill:
    opened = open_bill()
    sharing.add(opened, *LINES)
    return opened


@pytest.fixture
def open_link(chromium: Browser, site: str, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser of its own."""
    contexts: list[BrowserContext] = []

    def open_(address: str, **options: object) -> Page:
        contexts.append(complaints.listen(chromium.new_context(base_url=site, **options)))
        page = contexts[-1].new_page()
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        assert context.cookies() == []
        context.close()


def rows(page: Page):
    return page.locator("#lines tbody tr")


def payable(page: Page, bill: Bill):
    return page.locator(f"#{element_id(bill, 'payable')}")


def test_what_is_added_appears_by_itself_and_is_marked(open_link, sharing, bill):
    page = open_link(sharing.address(bill))
    expect(rows(page)).to_have_count(3)
    for n in tries(within_s=3):
        sharing.add(bill, (f"Late fee {n}", "1", "1.5", "GEL"))
        expect(rows(page)).to_have_count(3 + n)
    expect(page.locator(".fresh")).to_have_count(1)
    expect(page.locator(".fresh")).to_contain_text(f"Late fee {n}")
    expect(payable(page, bill)).to_contain_text(f"{3.6 + n * 1.5:.2f} GEL")


def test_a_line_taken_back_and_the_closing_appear_by_themselves(open_link, sharing, bill):
    (fee,) = sharing.add(bill, ("Late fee", "1", "1.5", "GEL"))
    page = open_link(sharing.address(bill))
    sharing.reverse(fee, "Entered twice")
    expect(page.locator(f"#{element_id(fee)}")).to_contain_text("taken back by line 5")
    sharing.close(bill)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Bill No\. \d+"))
    expect(page.get_by_text("This bill is final")).to_be_visible()
    expect(page.locator("[data-stream]")).to_have_count(0)


def test_another_currency_is_shown_in_place_and_kept(open_link, sharing, bill):
    page = open_link(sharing.address(bill))
    page.get_by_label("The whole bill in").select_option("GEL")
    expect(page.locator(f"#{element_id(bill, 'whole')}")).to_contain_text("642.95 GEL")
    expect(page.get_by_text("Indicative:")).to_be_visible()
    expect(page.get_by_role("link", name="PDF")).to_have_attribute("href", re.compile("currency=GEL"))
    sharing.add(bill, ("Late fee", "1", "1", "GEL"))
    expect(page.locator(f"#{element_id(bill, 'whole')}")).to_contain_text("643.95 GEL")
    expect(page.get_by_label("The whole bill in")).to_have_value("GEL")
    page.reload()
    expect(page.locator(f"#{element_id(bill, 'whole')}")).to_contain_text("643.95 GEL")


def test_a_link_that_is_revoked_while_it_is_open_leads_nowhere_soon(open_link, sharing, bill):
    link = sharing.link(bill)
    page = open_link(sharing.address_of(link.id))
    expect(rows(page)).to_have_count(3)
    sharing.revoke(link)
    sharing.add(bill, LINES[0])
    expect(page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()


def test_without_a_stream_the_page_asks_now_and_then(open_link, sharing, bill, chromium, site, complaints):
    context = complaints.listen(chromium.new_context(base_url=site))
    context.route("**/stream", lambda route: route.fulfill(status=429))
    page = context.new_page()
    page.goto(sharing.address(bill))
    sharing.add(bill, ("Late fee", "1", "1.5", "GEL"))
    expect(rows(page)).to_have_count(4)
    context.close()


def test_without_script_everything_is_there(open_link, sharing, bill):
    page = open_link(sharing.address(bill), java_script_enabled=False)
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_text("follows by itself")).to_be_hidden()
    page.get_by_label("The whole bill in").select_option("GEL")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(f"#{element_id(bill, 'whole')}")).to_contain_text("642.95 GEL")


def test_documents_are_downloaded(open_link, sharing, bill, monkeypatch):
    # However long it takes on a busy machine.
    monkeypatch.setattr(pdf, "WITHIN_S", 200)
    page = open_link(sharing.address(bill))
    for name, ending in (("PDF", "pdf"), ("CSV", "csv")):
        with page.expect_download(timeout=200_000) as started:
            page.get_by_role("link", name=name, exact=True).click()
        assert started.value.suggested_filename == f"open-bill-{bill.id}.{ending}"


def test_nobody_is_told_where_the_reader_came_from(open_link, sharing, bill):
    page = open_link(sharing.address(bill))
    seen: list[str | None] = []
    page.on("request", lambda request: seen.append(request.headers.get("referer")))
    page.reload()
    page.get_by_label("The whole bill in").select_option("GEL")
    expect(page.locator(f"#{element_id(bill, 'whole')}")).to_contain_text("642.95 GEL")
    assert seen
    assert not any(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["open", "closed", "empty", "long", "nowhere"])
def test_it_fits_and_everybody_can_read_it(open_link, sharing, open_bill, state, scheme):
    opened = open_bill(ends_in=timedelta(days=3))
    if state == "long":
        items = sharing.add(opened, ("W" * 120, "999.999999", "999999999999.999999999999", "CLF"), LINES[0])
        sharing.reverse(items[1], "Entered twice " * 20)
        sharing.add_many(opened, 150)
    elif state in {"open", "closed"}:
        sharing.add(opened, *LINES)
    if state == "closed":
        sharing.close(opened)
    page = open_link(sharing.address(opened) if state != "nowhere" else "/b/nowhere", color_scheme=scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        found = AXE.run(page)
        assert found.response["violations"] == [], found.generate_report()


def test_on_paper_it_is_a_document(open_link, sharing, bill):
    page = open_link(sharing.address(bill), color_scheme="dark")
    page.emulate_media(media="print")
    for hidden in (page.get_by_role("link", name="PDF"), page.get_by_label("The whole bill in")):
        expect(hidden).to_be_hidden()
    expect(page.locator("#printed-currency")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.paper')).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_an_operator_shares_by_keyboard_and_the_customer_reads(open_browser, open_link, bill):
    page = open_browser()
    page.goto(f"/bills/{bill.id}/shares")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Create link").focus()
    page.keyboard.press("Enter")
    address = page.get_by_label(re.compile("^Link of"))
    expect(address).to_have_count(1)
    theirs = open_link(re.sub(r"^https?://[^/]+", "", address.input_value()))
    expect(rows(theirs)).to_have_count(3)

    page.get_by_text("Revoke…").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Revoke link").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No link is in use.")).to_be_visible()
    theirs.reload()
    expect(theirs.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
