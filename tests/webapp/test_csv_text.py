"""CSV that no spreadsheet takes for formulas."""

import csv
from io import StringIO

import pytest

from webapp import csv_text


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\xa0+", "  @"]
)
def test_what_could_be_a_formula_is_text(start):
    assert csv_text.text(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("value", ["", "Acme", "a=b", "1-2", "O'Neil", "'quoted'", " plain"])
def test_all_other_text_stays_as_it_is(value):
    assert csv_text.text(value) == value


def test_cells_come_back_as_they_were():
    rows = [["a,b", 'say "hi"', "two\nlines", "\N{EURO SIGN}", "-3.6"], ["", "x", "", "", "0"]]
    written = csv_text.csv_lines(rows)
    assert list(csv.reader(StringIO(written, newline=""))) == rows
    assert written.endswith("0\r\n")
