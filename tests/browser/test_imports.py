"""A CSV file imported onto a bill by keyboard and mouse, and a page that follows it by itself."""

from __future__ import annotations

from playwright.sync_api import expect

from billing.ledger import imports, reads
from tests.support.imports import carried_out, csv_of, row
from webapp.pages.element_ids import element_id

CSV = csv_of([row(description="Wire fee"), row(quantity="1,5"), row(description="Custody")])


def test_a_file_is_chosen_previewed_confirmed_and_followed_to_its_end(open_browser, bill, engine):
    page = open_browser()
    page.goto(f"/bills/{bill.id}")
    page.get_by_role("link", name="Import CSV").click()
    expect(page.get_by_label("File")).to_be_focused()
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.get_by_text("Choose a file first.")).to_be_visible()

    page.get_by_label("File").set_input_files({"name": "rows.csv", "mimeType": "text/csv", "buffer": CSV})
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="2 of 3 rows can be added")).to_be_focused()
    expect(page.get_by_role("region", name="Rows left out")).to_contain_text("1,5 has a comma")

    page.get_by_role("button", name="Import 2 lines").click()
    expect(page.get_by_role("heading", name="Importing 3 rows")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "1")
    (one,) = imports.of_bill(engine, bill.id, limit=2)
    # Nothing but the page itself asks again.
    carried_out(engine, str(one.id))
    expect(page.get_by_role("heading", name="2 lines added")).to_be_visible()
    expect(page.locator(f"#{element_id('import', str(one.id))}")).not_to_have_attribute("hx-trigger", "every 1s")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Report of every row").click()
    assert downloading.value.suggested_filename == f"import-{one.id}.csv"

    page.get_by_role("link", name="Back to the bill").click()
    expect(page.locator(f"#{element_id(bill, 'items')} tr")).to_have_count(2)
    assert reads.bill(engine, bill.id).item_count == 2
