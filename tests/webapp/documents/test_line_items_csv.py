"""A bill's lines as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from flask.testing import FlaskClient

from billing.bill import Bill
from tests.support.ledger import OpenBill
from tests.support.sharing import LINES, Sharing
from webapp.documents.line_items_csv import COLUMNS


def rows(client: FlaskClient, sharing: Sharing, bill: Bill) -> list[dict[str, str]]:
    answer = client.get(f"{sharing.address(bill)}/lines.csv")
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="open-bill-{bill.id}.csv"'
    assert answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_every_line_is_a_row_with_exact_figures(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    items = sharing.add(bill, *LINES)
    sharing.reverse(items[1], "Entered twice")
    found = rows(client, sharing, bill)
    assert list(found[0]) == list(COLUMNS)
    figures = [(row["line"], row["quantity"], row["unit_price"], row["amount"], row["currency"]) for row in found]
    assert figures == [
        ("1", "6", "0.6", "3.6", "GEL"),
        ("2", "2418000", "0.00000125", "3.0225", "EUR"),
        ("3", "30", "1200", "36000", "JPY"),
        ("4", "-2418000", "0.00000125", "-3.0225", "EUR"),
    ]
    assert [row["taken_back_by_line"] for row in found] == ["", "4", "", ""]
    assert (found[3]["takes_back_line"], found[3]["reason"]) == ("2", "Entered twice")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " ="])
def test_words_are_no_formulas_and_figures_stay_figures(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill, start: str
):
    words = f'{start}HYPERLINK("http://x","y"), \'and\' more\nlines'
    bill = open_bill()
    items = sharing.add(bill, (words, "1", "2", "USD"))
    sharing.reverse(items[0], words)
    found = rows(client, sharing, bill)
    assert [row["description"] for row in found] == [f"'{words}"] * 2
    assert found[1]["reason"] == f"'{words}"
    assert [row["amount"] for row in found] == ["2", "-2"]


def test_all_of_a_long_bill_comes_in_chunks(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    (first,) = sharing.add(bill, LINES[0])
    sharing.add_many(bill, 2_300)
    sharing.reverse(first, "Entered twice")
    found = rows(client, sharing, bill)
    assert [row["line"] for row in found] == [str(n) for n in range(1, 2_303)]
    assert found[0]["taken_back_by_line"] == "2302"
    assert found[-1]["takes_back_line"] == "1"
    answer = client.get(f"{sharing.address(bill)}/lines.csv", buffered=False)
    assert answer.is_streamed
    answer.close()


def test_a_bill_without_lines_has_the_heading_alone(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    assert rows(client, sharing, open_bill()) == []
