"""Parts of pages that several tests look at."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from billing.bill import Bill
from webapp.pages.element_ids import element_id


def rows(page: Page, bill: Bill) -> Locator:
    """The lines that a bill's page shows, newest first."""
    return page.locator(f"#{element_id(bill, 'items')} tr")
