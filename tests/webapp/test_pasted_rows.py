"""Rows copied out of a spreadsheet."""

from decimal import Decimal

import pytest

from billing.errors import InvalidArgument
from billing.settings import DEFAULT_CURRENCIES
from webapp.pasted_rows import parse_rows, plain_number


def parse(text, usual=""):
    return parse_rows(text, usual_currency=usual, offered=DEFAULT_CURRENCIES)


def lines(text, usual=""):
    """What each row is: its line in short, or why it isn't one."""
    return [str(row.refusal) if row.draft is None else short(row.draft) for row in parse(text, usual)]


def short(draft):
    return f"{draft.description}: {draft.quantity} x {draft.unit_price} {draft.currency}"


@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_cells_are_told_apart_by_tabs_semicolons_or_commas(separator):
    text = "Wire fee,2,60.5,GEL\nCustody,1,3,JPY\n".replace(",", separator)
    assert lines(text) == ["Wire fee: 2 x 60.5 GEL", "Custody: 1 x 3 JPY"]


@pytest.mark.parametrize(
    "heading",
    [
        "Description,Quantity,Unit price,Currency",
        "ITEM,qty,unit_price,ccy",
        "Service,Units,Price per unit,Currency code",
    ],
)
def test_a_heading_is_recognised_and_is_no_line(heading):
    (row,) = parse(f"{heading}\nFee,1,2,USD")
    assert (row.number, short(row.draft)) == (2, "Fee: 1 x 2 USD")


def test_columns_stand_where_the_heading_says_and_others_are_left_out():
    text = "No.\tPrice\tTotal\tDescription\tCurrency\tQty\nA1\t2\t6\tFee\tUSD\t3\n"
    assert lines(text) == ["Fee: 3 x 2 USD"]


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("Number|Description|Quantity|Price", "1|Fee|50|2"),
        ("Rate|Description|Quantity|Unit price", "1|Fee|50|2"),
        ("Item|Description|Quantity|Price", "1|Fee|50|2"),
        ("Units|Description|Qty|Price", "1|Fee|50|2"),
        ("Price|Fee|Service|Count|Price per unit", "100|7|Fee|50|2"),
    ],
)
def test_of_columns_that_fit_the_one_that_fits_best_is_taken_wherever_it_stands(heading, row):
    text = f"{heading}\n{row}".replace("|", "\t")
    assert lines(text, usual="USD") == ["Fee: 50 x 2 USD"]


@pytest.mark.parametrize(
    ("heading", "sentence"),
    [
        ("Description,Qty,Quantity,Price", "“Qty” and “Quantity” could each be the quantity; keep one"),
        ("Description,Quantity,Price,Rate", "“Price” and “Rate” could each be the unit price; keep one"),
        ("Item,Service,Qty,Price", "“Item” and “Service” could each be the description; keep one"),
        ("Number,Description,Price", "the heading names no quantity"),
    ],
)
def test_a_heading_that_fits_in_two_ways_or_only_seems_to_is_refused(heading, sentence):
    with pytest.raises(InvalidArgument, match=sentence):
        parse(f"{heading}\n1,2,3,4", usual="USD")


def test_a_heading_without_a_price_says_so():
    with pytest.raises(InvalidArgument, match="the heading names no unit price"):
        parse("Description,Quantity,Currency\nFee,1,USD")


def test_a_row_without_a_currency_takes_the_usual_one_if_there_is_one():
    assert lines("Fee\t1\t2\nOther\t1\t2\tGEL", usual="USD") == ["Fee: 1 x 2 USD", "Other: 1 x 2 GEL"]
    assert lines("Fee\t1\t2") == ["currency is required"]


def test_quoted_cells_hold_separators_line_breaks_and_quotes():
    assert lines('"Fee, ""express""\nwithin a day",1,2,USD') == ['Fee, "express"\nwithin a day: 1 x 2 USD']


def test_a_quote_without_its_second_is_text():
    assert lines('"Fee\t1\t2\tUSD\nOther\t1\t2\tUSD') == ['"Fee: 1 x 2 USD', "Other: 1 x 2 USD"]
    assert lines('Cable 5"\t1\t2\tUSD\nOther\t1\t2\tUSD') == ['Cable 5": 1 x 2 USD', "Other: 1 x 2 USD"]


def test_empty_rows_are_passed_over_and_the_others_keep_their_numbers():
    assert [row.number for row in parse("\nFee\t1\t2\tUSD\n\t\t\t\n\nFee\t1\t2\tUSD\n")] == [2, 5]


def test_a_bad_row_says_why_and_leaves_the_others_alone():
    text = "Fee\t0\t2\tUSD\nFee\t1\t2\tusd\n\t1\t2\tUSD\nFee\t1\t2\tUSD\t9\nFee\t\t2\tUSD\nFee\t1\t2\tUSD"
    assert lines(text) == [
        "quantity must be greater than zero",
        "unsupported currency",
        "description is required",
        "this row has 5 cells, not 4",
        "quantity is required",
        "Fee: 1 x 2 USD",
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1840", "1840"),
        ("0.0125", "0.0125"),
        ("1.840", "1.840"),
        ("0,6", "0.6"),
        ("0,125", "0.125"),
        ("12,50", "12.50"),
        ("1840,125", "1840.125"),
        ("1,234.5", "1234.5"),
        ("1.234,5", "1234.5"),
        ("1,234.567", "1234.567"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234,5", "1234.5"),
        ("1\N{NARROW NO-BREAK SPACE}234\N{NO-BREAK SPACE}567.5", "1234567.5"),
        ("1'234.50", "1234.50"),
    ],
)
def test_a_number_with_one_meaning_is_read(typed, meant):
    assert plain_number(typed, "quantity") == meant


@pytest.mark.parametrize(
    ("typed", "grouped", "decimal"),
    [("1,840", "1840", "1.84"), ("12,000", "12000", "12"), ("999,125", "999125", "999.125")],
)
def test_a_number_with_two_meanings_is_refused_and_both_are_named(typed, grouped, decimal):
    with pytest.raises(InvalidArgument, match=f"unit price {typed} could mean {grouped} or {decimal}; write which"):
        plain_number(typed, "unit_price")


@pytest.mark.parametrize("other", ["0,5", "1.234,5", "7", "1.234.567"])
def test_a_point_before_three_digits_has_two_meanings_if_nothing_else_says_which(other):
    rows = parse(f"Fee\t1.840\t2\tUSD\nFee\t1\t{other}\tUSD")
    assert "quantity 1.840 could mean 1840 or 1.84; write which" in str(rows[0].refusal)


def test_two_points_before_three_digits_say_nothing_about_each_other():
    assert ["could mean" in line for line in lines("Fee\t1.500\t2.250\tUSD\nFee\t1\t2.250\tUSD")] == [True, True]
    assert "could mean 1500 or 1.5" in str(parse("Fee;1.500;2;USD")[0].refusal)


@pytest.mark.parametrize("other", ["0.5", "12.50", "0.125", "1,234.5", "1,234.567", "1234.567", "1 234.567"])
def test_a_point_is_a_decimal_point_where_another_number_shows_it(other):
    first, second = parse(f"Fee\t1.840\t2\tUSD\nFee\t1\t{other}\tUSD")
    assert first.draft.quantity == Decimal("1.84")
    assert second.draft is not None


def test_a_point_is_a_decimal_point_between_commas():
    assert lines("Fee,1.840,2,USD") == ["Fee: 1.84 x 2 USD"]
    assert "could mean 1840 or 1.84" in lines('Fee,1.840,"0,5",USD')[0]


def test_a_price_below_one_has_one_meaning():
    assert lines("Fee\t1\t0.125\tUSD") == ["Fee: 1 x 0.125 USD"]


def test_a_point_beside_both_signs_has_two_meanings():
    assert "could mean 1840 or 1.84" in lines("Fee\t1.840\t0,5\tUSD\nFee\t1\t0.5\tUSD")[0]


@pytest.mark.parametrize(
    "typed",
    ["1,2,3", "12,34.5", "1,2345.6", "1.23.456", "$5", "5 %", "1e3", "\N{ARABIC-INDIC DIGIT FIVE}", "12 34", "-1,5x"],
)
def test_what_is_no_number_is_none_afterwards(typed):
    (row,) = parse(f"Fee\t{typed}\t2\tUSD")
    assert "must be a decimal number" in str(row.refusal)


def test_a_thousand_rows_are_read_and_one_more_is_refused():
    assert len(parse("Fee\t1\t2\tUSD\n" * 1_000)) == 1_000
    with pytest.raises(InvalidArgument, match="1,001 rows; paste at most 1,000"):
        parse("Fee\t1\t2\tUSD\n" * 1_001)


@pytest.mark.parametrize("text", ["", " \n\t\n", "Description,Quantity,Unit price,Currency"])
def test_nothing_to_read_is_refused(text):
    with pytest.raises(InvalidArgument):
        parse(text)
