"""Rows from a spreadsheet, pasted onto a bill."""

from __future__ import annotations

from playwright.sync_api import expect

from billing.ledger import reads
from webapp.pages.element_ids import element_id

ROWS = "Description\tQty\tPrice\tCurrency\nWire fee\t1\t60\tGEL\nCustody\t30\t1,200\tJPY\nOnboarding\t6\t0,60\tGEL"


def test_rows_are_pasted_with_a_preview_and_the_bad_one_is_left_out(open_browser, bill, engine):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Paste rows").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Rows", exact=True)).to_be_focused()
    dialog.get_by_label("Rows", exact=True).fill(ROWS)
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_role("heading", name="2 of 3 rows can be added")).to_be_visible()
    expect(dialog).to_contain_text("1,200 could mean 1200 or 1.2")
    assert reads.bill(engine, bill.id).version == 1
    add = dialog.get_by_role("button", name="Add 2 lines")
    add.evaluate("button => { for (let n = 0; n < 40; n += 1) button.click(); }")
    expect(dialog.get_by_role("heading", name="2 lines added, 1 left out")).to_be_visible()
    expect(dialog.get_by_role("link", name="Done")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(f"#{element_id(bill, 'items')} tr")).to_have_count(2)
    expect(page.locator(f"#{element_id(bill, 'total-GEL')}")).to_contain_text("63.60")
    assert reads.bill(engine, bill.id).item_count == 2


def test_rows_pasted_into_the_line_open_the_preview(open_browser, bill):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_label("Description", exact=True).focus()
    page.evaluate(
        """text => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            document.activeElement.dispatchEvent(paste);
        }""",
        ROWS,
    )
    expect(page.get_by_role("dialog").get_by_role("heading", name="2 of 3 rows can be added")).to_be_visible()
