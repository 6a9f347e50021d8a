"""What somebody does on a page to bring it into a state. Each is to be carried out by a function that it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from playwright.sync_api import Page, expect

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
