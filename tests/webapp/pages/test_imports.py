"""Importing a CSV file onto a bill: a preview that adds nothing, progress, what became of it. All without script."""

from __future__ import annotations

import gc
import io
from uuid import UUID

import pytest
from sqlalchemy import text
from werkzeug.datastructures import FileStorage

from billing.bill import BillStatus
from billing.ledger import bills, import_retention, imports, reads
from billing.ledger.database import transaction
from billing.ledger.imports import MOST_ROWS
from tests.support.imports import carried_out, csv_of, row
from webapp.imports import files

ROWS = [row(description="Wire fee"), row(quantity="1,5"), row(unit_price="0.005", currency="USD", key="a")]
NAMES = ("description", "quantity", "unit_price", "currency", "key")


def sent(visitor, bill, content=None, *, status=303):
    """The form with what is wrong; on success the preview's page is where it leads."""
    form = visitor.open(f"/bills/{bill.id}/imports/new").form(f"/bills/{bill.id}/imports")
    content = csv_of(ROWS, *NAMES) if content is None else content
    file = FileStorage(io.BytesIO(content), filename="rows.csv")
    return visitor.send(f"/bills/{bill.id}/imports", {**form, "file": file}, status=status)


def previewed(visitor, bill, content=None):
    """The preview's page and its address."""
    sent(visitor, bill, content)
    address = visitor.went_to
    return visitor.open(address), address


def started(visitor, bill, content=None):
    """The import's id."""
    page, address = previewed(visitor, bill, content)
    form = page.form(f"{address}/confirmation")
    for _ in range(2):
        visitor.send(f"{address}/confirmation", form, status=303)
        assert visitor.went_to == address
    return UUID(address.rpartition("/")[2])


def told(page):
    return [line.with_class("what")[0].text for line in page.with_class("pasted")[0].all("tbody")[0].all("tr")]


def title(page):
    return page.all("h1")[0].text


def test_the_bills_page_leads_there(operator, viewer, new_bill):
    bill = new_bill()
    assert f"/bills/{bill.id}/imports/new" in {
        a.attributes.get("href") for a in operator.open(f"/bills/{bill.id}").all("a")
    }
    assert f"/bills/{bill.id}/imports/new" not in {
        a.attributes.get("href") for a in viewer.open(f"/bills/{bill.id}").all("a")
    }


def test_a_file_of_as_many_rows_as_there_may_be_is_previewed(operator, new_bill, engine):
    content = b"description,quantity,unit_price,currency\n" + b"Card payments,6,0.6,GEL\n" * MOST_ROWS
    page, _ = previewed(operator, new_bill(), content)
    assert title(page) == "100,000 of 100,000 rows can be added"
    with transaction(engine) as connection:  # whoever drops them takes many steps
        connection.execute(text("DELETE FROM imports WHERE rows = :rows"), {"rows": MOST_ROWS})


def test_the_preview_says_what_would_be_added_and_stores_no_line(operator, new_bill, engine):
    bill = new_bill()
    page, _ = previewed(operator, bill)
    assert title(page) == "2 of 3 rows can be added"
    assert "Adds 3.6 GEL , 0.03 USD and leaves 1 row out" in page.text
    (problem,) = told(page)
    assert "Quantity must have a decimal point, and nothing between thousands: 1,5 has a comma." in problem
    assert page.with_class("pasted")[0].all("tbody")[0].all("th")[0].text == "3"
    shown = [line.with_class("what")[0].text for line in page.with_class("pasted")[1].all("tbody")[0].all("tr")]
    assert shown[0] == "Wire fee"
    assert reads.bill(engine, bill.id).version == 1
    assert "No imports yet" in operator.open(f"/bills/{bill.id}/imports").text


def test_confirming_starts_it_once_and_its_page_shows_how_far_it_is_and_what_it_came_to(operator, new_bill, engine):
    bill = new_bill()
    import_id = started(operator, bill)
    address = f"/bills/{bill.id}/imports/{import_id}"
    page = operator.open(address)
    assert title(page) == "Importing 3 rows"
    (section,) = page.with_class("import")
    assert (section.attributes["hx-trigger"], section.attributes["hx-get"]) == ("every 1s", f"{address}/standing")
    (bar,) = page.all("progress")
    assert (bar.attributes["max"], bar.attributes["value"]) == ("3", "1")
    carried_out(engine, str(import_id))
    page = operator.open(f"{address}/standing", htmx=True)
    assert title(page) == "2 lines added"
    assert not page.with_class("import")[0].attributes.get("hx-trigger")
    assert "1,5 has a comma" in told(page)[0]
    assert reads.bill(engine, bill.id).item_count == 2
    report = operator.client.get(f"{address}/report.csv").text
    assert [line.split(",")[2] for line in report.splitlines()] == ["outcome", "added", "rejected", "added"]
    assert title(operator.open(address)) == "2 lines added"
    assert "2" in operator.open(f"/bills/{bill.id}/imports").text
    assert operator.client.get(f"{address}/standing").headers["Location"] == address


def test_the_same_file_again_is_warned_of(operator, new_bill, engine):
    bill, other = new_bill(), new_bill()
    assert "imported into this bill before" not in previewed(operator, bill)[0].text
    carried_out(engine, str(started(operator, bill)))
    page, _ = previewed(operator, bill)
    assert "This file was imported into this bill before" in page.text
    assert "1 row has neither a key nor a reference and would be charged again" in page.text
    assert "imported into this bill before" not in previewed(operator, other)[0].text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file has no rows."),
        (b"PK\x03\x04\xff\xfe", "The file is not text in UTF-8."),
        (b"a,b\n1,2\n", "Unknown column 'a'."),
        (b"description,quantity\na,1\n", "The heading names no unit price."),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_at_its_field(operator, new_bill, engine, content, words):
    page = sent(operator, new_bill(), content, status=400)
    assert [error.text for error in page.with_class("error")] == [words]


def test_no_file_is_refused_at_its_field(operator, new_bill):
    bill = new_bill()
    address = f"/bills/{bill.id}/imports"
    form = operator.open(f"{address}/new").form(address)
    page = operator.send(address, {**form, "file": FileStorage(io.BytesIO(b""), filename="")}, status=400)
    assert [error.text for error in page.with_class("error")] == ["Choose a file first."]


def test_a_file_that_is_too_long_is_refused(operator, new_bill, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_FILE", 100)
    page = sent(operator, new_bill(), csv_of(ROWS * 3, *NAMES), status=400)
    assert [error.text for error in page.with_class("error")] == ["The request body is too large."]


def test_a_process_that_reads_others_files_says_so_at_the_field(operator, new_bill):
    places = [files.PLACES.take(other) for other in ("one", "another")]
    page = sent(operator, new_bill(), status=429)
    assert [error.text for error in page.with_class("error")] == ["Too many imports are running just now."]
    for place in places:
        place.release()


def test_a_preview_takes_the_place_of_the_one_before(operator, new_bill, engine):
    bill = new_bill()
    _, first = previewed(operator, bill)
    sent(operator, bill)
    operator.open(first, status=404)


def test_a_preview_that_nobody_confirms_is_dropped_after_a_day(operator, new_bill, engine):
    bill = new_bill()
    page, address = previewed(operator, bill)
    form = page.form(f"{address}/confirmation")
    with transaction(engine) as connection:
        connection.execute(text("UPDATE imports SET created_at = created_at - interval '25 h' WHERE state = 'draft'"))
    operator.send(f"{address}/confirmation", form, status=404)
    import_retention.prune(engine)
    operator.open(address, status=404)


def test_what_is_left_can_be_cancelled(operator, new_bill, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/imports/{started(operator, bill)}"
    form = operator.open(address).form(f"{address}/cancellation")
    operator.send(f"{address}/cancellation", form, status=303)
    page = operator.open(address)
    assert title(page) == "Import cancelled"
    assert "2 rows were left when it was cancelled" in page.text


def test_a_draft_is_no_import_that_could_be_cancelled(operator, new_bill, engine):
    bill = new_bill()
    page, address = previewed(operator, bill)
    operator.send(f"{address}/cancellation", page.form(f"{address}/confirmation"), status=404)
    assert imports.of_bill(engine, bill.id, limit=9) == []
    assert title(operator.open(address)) == "2 of 3 rows can be added"


def test_rows_in_a_currency_that_is_no_longer_offered_are_not_counted(operator, new_bill, app, monkeypatch):
    monkeypatch.setattr(app.extensions["pave"], "offered", lambda: ("GEL",))
    page, _ = previewed(operator, new_bill())
    assert title(page) == "1 of 3 rows can be added"
    assert "1 row is in USD, which is no longer offered" in page.text
    assert "Adds 3.6 GEL " in page.text
    assert "Adds 3.6 GEL ," not in page.text
    assert "Import 1 line" in [button.text for button in page.with_class("sheet")[0].all("button")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_end_of_a_form_that_is_cut_off_is_no_end_of_a_file(operator, new_bill, engine):
    bill = new_bill()
    address = f"/bills/{bill.id}/imports"
    form = operator.open(f"{address}/new").form(address)
    fields = "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in form.items())
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n\r\n' + csv_of(ROWS, *NAMES)
    answer = operator.client.post(
        address,
        content_type="multipart/form-data; boundary=x",
        input_stream=io.BytesIO(fields.encode() + file),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 400
    gc.collect()  # the parser leaves its file open
    with engine.connect() as connection:
        of_bill = text("SELECT count(*) FROM imports WHERE bill_id = :id")
        assert connection.execute(of_bill, {"id": bill.id}).scalar_one() == 0


def test_the_audit_log_leads_there(operator, admin, new_bill):
    bill = new_bill()
    import_id = started(operator, bill)
    page = admin.open(f"/settings/audit-log/{import_id}/1")
    assert f"/bills/{bill.id}/imports/{import_id}" in {a.attributes.get("href") for a in page.all("a")}


def test_a_closed_bill_takes_no_file(operator, new_bill, engine, origin):
    bill = new_bill()
    page, address = previewed(operator, bill)
    bills.request_close(engine, origin, bill.id)
    assert reads.bill(engine, bill.id).status == BillStatus.CLOSING
    page = operator.open(address)
    assert "This bill takes no more lines." in page.text
    assert [button.text for button in page.with_class("sheet")[0].all("button")] == []
    assert operator.client.get(f"/bills/{bill.id}/imports/new").headers["Location"] == f"/bills/{bill.id}"


def test_viewers_watch_and_change_nothing(operator, viewer, new_bill):
    bill = new_bill()
    address = f"/bills/{bill.id}/imports/{started(operator, bill)}"
    assert not [form for form in viewer.open(address).all("form") if "imports" in form.attributes["action"]]
    assert "Import CSV" not in viewer.open(f"/bills/{bill.id}/imports").text
    viewer.open(f"/bills/{bill.id}/imports/new", status=403)
    for action in ("confirmation", "cancellation"):
        form = operator.open(address).form(f"{address}/cancellation")
        viewer.send(f"{address}/{action}", {**form}, status=403)


def test_an_import_is_found_under_its_own_bill_alone(operator, new_bill):
    bill, other = new_bill(), new_bill()
    import_id = started(operator, bill)
    operator.open(f"/bills/{other.id}/imports/{import_id}", status=404)
    operator.open(f"/bills/{bill.id}/imports/nonsense", status=404)


def test_text_of_a_file_is_never_markup(operator, new_bill):
    content = csv_of([row(description="<b>x</b>"), row(description="<i>y</i>", quantity="0")])
    page, _ = previewed(operator, new_bill(), content)
    assert "<b>x</b>" in page.text
    assert "<i>y</i>" in page.text
    assert not page.all("i")
