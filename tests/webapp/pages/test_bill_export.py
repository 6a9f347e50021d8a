"""The list as CSV."""

import csv
import tracemalloc
from datetime import UTC, datetime
from io import StringIO

import pytest

from billing.ledger import bill_list, bills, closing, customers
from billing.origin import by_the_system


def exported(visitor, address):
    """The rows, by column."""
    visitor.answer = visitor.client.get(address)
    assert visitor.answer.status_code == 200, visitor.answer.text
    text = visitor.answer.data.decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def test_there_is_a_row_for_each_bill_and_currency(viewer, new_bill, add, engine, origin):
    accruing, closed, empty = new_bill("export-a"), new_bill("export-b"), new_bill("export-c")
    add(accruing, quantity="6", price="0.6", code="GEL")
    add(accruing, price="3.0225", code="EUR")
    add(closed, price="0.5", code="JPY")
    customers.edit(engine, origin, "export-b", {"name": "Müller & Söhne, Ltd"})
    bills.request_close(engine, origin, closed.id)
    number = closing.close_bill(engine, by_the_system("r"), closed.id, samples=True).number
    rows = exported(viewer, "/bills.csv?q=export-")
    assert [(row["customer_id"], row["currency"]) for row in rows] == [
        ("export-c", ""),
        ("export-b", "JPY"),
        ("export-a", "EUR"),
        ("export-a", "GEL"),
    ]
    nothing, yen, euros, laris = rows
    assert (nothing["bill_id"], nothing["subtotal"], nothing["payable"]) == (str(empty.id), "", "")
    assert (yen["number"], yen["status"], yen["close_reason"]) == (str(number), "closed", "manual")
    assert yen["customer_name"] == "Müller & Söhne, Ltd"
    assert (yen["subtotal"], yen["rounding"], yen["payable"]) == ("0.5", "0.5", "1")
    assert (euros["subtotal"], euros["rounding"], euros["payable"]) == ("3.0225", "-0.0025", "3.02")
    assert (laris["subtotal"], laris["rounding"], laris["payable"], laris["number"]) == ("3.6", "0", "3.60", "")
    assert euros["period_end"].endswith("Z")
    assert (yen["cut_off"] > "2026", yen["closed_at"] > "2026", laris["cut_off"], laris["closed_at"]) == (
        True,
        True,
        "",
        "",
    )


def test_the_file_is_named_for_its_day_and_kept_by_nobody(viewer):
    exported(viewer, "/bills.csv")
    day = datetime.now(UTC).date().isoformat()
    assert viewer.answer.headers["Content-Disposition"] == f'attachment; filename="bills-{day}.csv"'
    assert viewer.answer.mimetype == "text/csv"
    assert "no-store" in viewer.answer.headers["Cache-Control"]


def test_it_has_what_is_filtered_and_no_more(operator, new_bill, add):
    one, other = new_bill("narrow-one"), new_bill("narrow-two")
    add(one, code="KWD")
    add(other, code="USD")
    (link,) = operator.open("/bills?q=narrow&currency=KWD").all("a", id="export-bills")
    assert [row["bill_id"] for row in exported(operator, link.attributes["href"])] == [str(one.id)]


def test_payables_in_one_currency_add_up_to_the_whole(operator, new_bill, add):
    bill = new_bill("in-one")
    add(bill, price="10", code="USD")
    add(bill, price="1000", code="JPY")
    rows = exported(operator, "/bills.csv?q=in-one&in=USD")
    assert next(row for row in rows if row["currency"] == "USD")["payable_in_USD"] == "10.00"
    cents = sum(round(float(row["payable_in_USD"]) * 100) for row in rows)
    whole = operator.open("/bills?customer=in-one&in=USD").with_class("whole")[0].money()
    assert whole == [f"{cents / 100:.2f} USD"]


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A1", "+49 30 1", "-2+3", "@SUM(A1)", "\t=1"])
def test_names_are_no_formulas_and_figures_stay_figures(operator, new_bill, add, engine, origin, name):
    bill = new_bill("=evil")
    customers.edit(engine, origin, "=evil", {"name": name})
    add(bill, price="3.0225", code="EUR")
    row = next(row for row in exported(operator, "/bills.csv?q=evil") if row["bill_id"] == str(bill.id))
    assert (row["customer_id"], row["customer_name"]) == ("'=evil", f"'{name}")
    assert row["rounding"] == "-0.0025"


def test_a_filter_that_cant_be_right_is_a_page_that_says_so(operator):
    operator.open("/bills.csv?from=yesterday", status=400)
    operator.open("/bills.csv?in=DOGE", status=400)


def test_nobody_exports_without_signing_in(visitor):
    assert visitor.client.get("/bills.csv").status_code == 303


def test_it_is_sent_while_it_is_read_and_holds_no_connection(operator, new_bill, monkeypatch):
    monkeypatch.setattr(bill_list, "BATCH", 5)
    for _ in range(30):
        new_bill("stream")
    answer = operator.client.get("/bills.csv?customer=stream", buffered=False)
    pool = operator.client.application.extensions["pave"].engine.pool
    parts = iter(answer.response)
    first = [next(parts), next(parts)]
    assert b"".join(first).count(b"\r\n") == 6
    assert pool.checkedout() == 0
    assert sum(part.count(b"\r\n") for part in parts) == 25
    answer.close()


def test_it_takes_no_more_memory_for_more_bills(operator, new_bill, monkeypatch):
    def peak():
        tracemalloc.start()
        for _ in operator.client.get("/bills.csv?customer=memory", buffered=False).response:
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    monkeypatch.setattr(bill_list, "BATCH", 10)
    for _ in range(20):
        new_bill("memory")
    peak()
    short = peak()
    for _ in range(180):
        new_bill("memory")
    assert peak() < 2 * short
