"""What somebody does on a page to bring it into a state. Each is to be carried out by a function that it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from playwright.sync_api import Page, expect

from webapp.documents import pdf

Steps = Callable[[Page], None]
NOTHING: Mapping[str, str] = {}


def all_of(*steps: Steps) -> Steps:
    """One after the other."""

    def take(page: Page) -> None:
        for step in steps:
            step(page)

    return take


def dialog(link: str) -> Steps:
    """Opens the dialog that this link leads to."""

    def take(page: Page) -> None:
        page.get_by_role("link", name=link).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return take


def keys(*pressed: str) -> Steps:
    def take(page: Page) -> None:
        for key in pressed:
            page.keyboard.press(key)

    return take


def typed(text: str) -> Steps:
    """Wherever the focus is."""
    return lambda page: page.keyboard.type(text)


def unfolded(summary: str) -> Steps:
    return lambda page: page.locator("summary", has_text=summary).first.click()


def submitted(button: str, values: Mapping[str, str] = NOTHING) -> Steps:
    """Types into fields by their labels, and sends the form."""

    def take(page: Page) -> None:
        for label, value in values.items():
            page.get_by_label(label, exact=True).fill(value)
        page.get_by_role("button", name=button, exact=True).click()

    return take


def refused(button: str, values: Mapping[str, str] = NOTHING) -> Steps:
    """The form comes back with what is wrong with it."""
    return all_of(submitted(button, values), shown(":is([aria-invalid=true], [role=alert], .error):visible"))


def shown(selector: str) -> Steps:
    """Waits until it is there to be seen."""
    return lambda page: expect(page.locator(selector).first).to_be_visible()


def heading(text: str) -> Steps:
    """Waits until the page or dialog says this."""
    return lambda page: expect(page.get_by_role("heading", name=re.compile(text))).to_be_visible()


def elsewhere(*steps: Steps, link: str | None = None) -> Steps:
    """What somebody does meanwhile on the same page in another tab, or on the page that a link leads to."""

    def take(page: Page) -> None:
        address = page.locator(link).first.get_attribute("href") if link else page.url
        other = page.context.new_page()
        other.goto(address or "")
        all_of(*steps)(other)
        other.close()

    return take


def signed_out(*steps: Steps) -> Steps:
    """What is done after the session has ended. The browser's other pages have theirs again afterwards."""

    def take(page: Page) -> None:
        session = page.context.cookies()
        page.context.clear_cookies()
        try:
            all_of(*steps)(page)
        finally:
            page.context.add_cookies(session)

    return take


def grown_old(page: Page) -> None:
    """The page's forms are those of an earlier session."""
    page.evaluate("for (const field of document.querySelectorAll('[name=csrf_token]')) field.value = 'of before'")


def cut_off(page: Page) -> None:
    """No request of this page is answered any more; it notices as it does when the network goes, or by looking."""
    page.route("**/*", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('offline'))")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def too_many_documents(page: Page) -> None:
    """Asks for the PDF of the bill while more are being made than wait."""
    with ExitStack() as places:
        for number in range(pdf.AT_ONCE + pdf.WAITING):
            places.enter_context(pdf.place(f"viewer {number}"))
        page.goto(f"{page.url}/bill.pdf")
