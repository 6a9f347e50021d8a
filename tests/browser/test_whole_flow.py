"""From nothing to a bill that is closed, by keyboard alone: as somebody does it who never saw the pages before."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from billing.ledger import links, reads
from webapp.pages.element_ids import element_id

# An average typist who isn't sure, by the keystroke-level model (Card, Moran and Newell): 0.28 s a key, 1.35 s to think
# before each thing that is done.
KEY_S, THOUGHT_S = 0.28, 1.35
WITHIN_S = 120
MOST_TABS = 60
LINES = (
    ("Platform fee", "1", "249", "USD"),
    ("API calls", "128417", "0.000125", "USD"),
    ("Transfers", "1240", "0.18", "EUR"),
    ("Transfers, again", "1240", "0.18", "EUR"),
    ("Settlement", "4", "1500", "JPY"),
)


class Keyboard:
    """Counts what is pressed, and what is done with it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0
        self.done = 0

    @property
    def seconds(self) -> float:
        return self.pressed * KEY_S + self.done * THOUGHT_S

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.pressed += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.pressed += len(text)

    def go_to(self, wanted: Locator, *, back: bool = False) -> None:
        """From one thing to the next until it is there."""
        expect(wanted).to_be_visible()
        self.done += 1
        for _ in range(MOST_TABS):
            if wanted.evaluate("(element) => element === document.activeElement"):
                return
            self.press("Shift+Tab" if back else "Tab")
        pytest.fail(f"{wanted} isn't reached by keyboard")


def test_a_bill_is_opened_filled_shared_and_closed_by_keyboard_alone(open_browser, engine):
    page = open_browser()
    keyboard = Keyboard(page)
    keyboard.press("n")
    # A person looks up before typing on; by then the page's scripts have run.
    page.wait_for_url("**/bills/new")
    expect(page.get_by_role("combobox", name="Customer")).to_be_focused()
    keyboard.type("walk-in")
    expect(page.get_by_role("checkbox", name="Register “walk-in”")).to_be_checked()
    keyboard.press("Enter")
    expect(page.get_by_text("No lines yet.")).to_be_visible()
    bill = reads.bill(engine, UUID(page.url.rsplit("/", 1)[1].partition("?")[0]))

    description = page.get_by_label("Description", exact=True)
    keyboard.go_to(description)
    for number, (what, quantity, price, code) in enumerate(LINES, start=1):
        keyboard.done += 1
        keyboard.type(what)
        keyboard.press("Tab")
        keyboard.type(quantity)
        keyboard.press("Tab")
        keyboard.type(price)
        if page.get_by_label("Currency", exact=True).input_value() != code:
            keyboard.press("Tab")
            keyboard.type(code)
            keyboard.press("Tab")
        keyboard.press("Enter")
        expect(page.locator(f"#{element_id(bill, 'items')} tr")).to_have_count(number)
        expect(description).to_be_focused()
        expect(description).to_have_value("")

    keyboard.go_to(page.get_by_role("link", name="Reverse Transfers, again"))
    keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    keyboard.type("twice")
    keyboard.press("Enter")
    expect(page.get_by_text("reversed: twice")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)

    keyboard.go_to(page.get_by_role("link", name="Share", exact=True), back=True)
    keyboard.press("Enter")
    keyboard.go_to(page.get_by_role("dialog").get_by_role("button", name="Create link"))
    keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    keyboard.press("Escape")

    keyboard.go_to(page.get_by_role("link", name="Close bill"))
    keyboard.press("Enter")
    keyboard.go_to(page.get_by_role("dialog").get_by_role("button", name="Close bill"))
    keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("finishes by itself")

    closed = reads.bill(engine, bill.id)
    assert closed.status == "closing"
    assert {payable.currency.code: str(payable.amount) for payable in closed.payables} == {
        "EUR": "223.20",
        "JPY": "6000",
        "USD": "265.05",
    }
    assert len(links.of_bill(engine, bill.id)) == 1
    print(f"{keyboard.pressed} keys, {keyboard.done} things done: about {keyboard.seconds:.0f} s")
    assert keyboard.seconds < WITHIN_S
