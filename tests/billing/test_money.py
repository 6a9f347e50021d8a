from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing import money
from billing.errors import InvalidArgument, UnsupportedCurrency

D = Decimal
currencies = st.sampled_from(["JPY", "USD", "GEL", "KWD", "CLF", "ISK"]).map(money.currency)
quantities = st.decimals(min_value=D("0.000001"), max_value=10**12, places=6)
unit_prices = st.decimals(min_value=0, max_value=10**12, places=12)
amounts = st.decimals(min_value=-(10**24), max_value=10**24, places=18)


# Currencies


@pytest.mark.parametrize(
    ("code", "digits"), [("JPY", 0), ("USD", 2), ("GEL", 2), ("KWD", 3), ("BHD", 3), ("CLF", 4), ("CLP", 0)]
)
def test_minor_units_are_those_of_iso_4217(code, digits):
    assert money.currency(code) == money.Currency(code, digits)


def test_cldr_is_not_asked():
    """CLDR displays these without decimals; ISO computes with two or three."""
    assert [money.currency(code).minor_units for code in ("IQD", "HUF", "AMD", "COP")] == [3, 2, 2, 2]


@pytest.mark.parametrize(
    "code",
    ["usd", "Usd", "XXX", "XAU", "XTS", "XDR", "BTC", "USD\n", " USD", "USD ", "", "US", "USDX", "\uff35SD",
     None, 1, []],
)  # fmt: skip
def test_what_is_no_currency_is_unsupported(code):
    with pytest.raises(UnsupportedCurrency, match=r"^unsupported currency$"):
        money.currency(code)


# Reading numbers


@pytest.mark.parametrize(
    "value",
    [
        "NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf", "1e400", "1E+999999", "1e2", "", " ", " 1 ",
        "1 ", "\n1", "1\n", "1_000", "1,000", "+1", "--1", "-", ".5", "5.", "01", "-01", "0x10",
        "\u0661\u0662", "\uff11", "1.\u0665", "\u00bd", "1/2",
        "true", "1" * 101, "0." + "0" * 99, True, False, None, 1, 1.5, [], {}, b"1",
        D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity"),
    ],
)  # fmt: skip
def test_what_is_no_decimal_number_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"^quantity must be a decimal number$") as caught:
        money.parse_decimal(value, "quantity")
    assert caught.value.field == "quantity"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("6", "6"),
        ("6.0", "6"),
        (D("6.00"), "6"),
        (D("6E0"), "6"),
        (D("6E+3"), "6000"),
        ("0.10", "0.1"),
        (D("1e-6"), "0.000001"),
    ],
)
def test_ways_to_write_one_number_are_one_number(value, text):
    quantity = money.parse_quantity(value)
    assert str(quantity) == text
    assert money.plain(quantity) == text


@pytest.mark.parametrize("value", ["0", "-0", "0.0", "-1", "-0.000001", D("-0"), D("-1e400"), D("0E+999999")])
def test_quantities_are_greater_than_zero(value):
    with pytest.raises(InvalidArgument, match=r"^quantity must be greater than zero$"):
        money.parse_quantity(value)


@pytest.mark.parametrize("value", ["-1", "-0.000000000001", D("-1e400")])
def test_unit_prices_are_never_negative(value):
    with pytest.raises(InvalidArgument, match=r"^unit_price cannot be negative$"):
        money.parse_unit_price(value)


@pytest.mark.parametrize("value", ["0", "-0", "0.000", D("-0"), D("0E+999999"), D("0E-999999")])
def test_a_unit_price_of_zero_is_just_zero(value):
    assert str(money.parse_unit_price(value)) == "0"


@pytest.mark.parametrize(
    "value", ["1000000000000.000001", "1000000000001", D("1e13"), D("1e400"), D("1E+999999"), D("9" * 2_000)]
)
def test_factors_are_at_most_ten_to_the_twelfth(value):
    with pytest.raises(InvalidArgument, match=r"^quantity cannot exceed 1000000000000$"):
        money.parse_quantity(value)
    with pytest.raises(InvalidArgument, match=r"^unit_price cannot exceed 1000000000000$"):
        money.parse_unit_price(value)


@pytest.mark.parametrize(
    "value", ["1.0000001", D("1e-7"), D("1E-400"), D("1E-999999"), D("1E-9999999"), D("1." + "1" * 2_000)]
)
def test_further_decimals_are_refused_rather_than_rounded(value):
    with pytest.raises(InvalidArgument, match=r"^quantity cannot have more than 6 decimals$"):
        money.parse_quantity(value)


def test_trailing_zeros_are_no_decimals():
    assert money.parse_quantity("1.0000000000000000000") == 1
    assert money.parse_quantity(D("1." + "0" * 5_000)) == 1
    assert money.parse_unit_price("0.1234567890120000") == D("0.123456789012")
    with pytest.raises(InvalidArgument, match=r"^unit_price cannot have more than 12 decimals$"):
        money.parse_unit_price("0.0000000000001")


@given(quantities)
def test_every_quantity_allowed_is_read_as_it_is(quantity):
    assert money.parse_quantity(format(quantity, "f")) == quantity
    assert money.parse_quantity(quantity) == quantity


@given(st.text(max_size=20))
def test_text_is_refused_or_exactly_the_number_it_says(text):
    try:
        number = money.parse_decimal(text, "quantity")
    except InvalidArgument:
        return
    assert number == D(text)
    assert text.isascii()


# Exact arithmetic


@given(quantities, unit_prices)
def test_line_totals_are_exact(quantity, unit_price):
    exact = Fraction(quantity) * Fraction(unit_price)
    if exact > 10**15:
        with pytest.raises(InvalidArgument, match="line total cannot exceed"):
            money.line_total(quantity, unit_price)
    else:
        assert Fraction(money.line_total(quantity, unit_price)) == exact


def test_the_widest_line_total_keeps_all_its_digits():
    total = money.line_total(D("999.999999"), D("999999999999.999999999999"))
    assert str(total) == "999999998999999.999999999000000001"


def test_what_does_not_fit_exactly_fails_rather_than_rounds():
    with pytest.raises(Inexact):
        money.exact_sum([D("1E+60"), D("1E-10")])


@given(st.lists(amounts, max_size=30))
def test_sums_are_exact_in_any_order(parts):
    total = money.exact_sum(parts)
    assert Fraction(total) == sum((Fraction(part) for part in parts), Fraction(0))
    assert money.exact_sum(reversed(parts)) == total


# The one rounding rule


@pytest.mark.parametrize(
    ("amount", "code", "rounded"),
    [
        ("3.6", "GEL", "3.60"), ("2.345", "GEL", "2.35"), ("-2.345", "GEL", "-2.35"),
        ("2.35", "JPY", "2"),
        ("2.3449999999999999999999", "GEL", "2.34"), ("0.5", "JPY", "1"), ("-0.5", "JPY", "-1"),
        ("1.5", "JPY", "2"), ("2.355", "GEL", "2.36"),
        ("2.5", "JPY", "3"), ("0.4999", "JPY", "0"), ("-0.4", "JPY", "0"), ("1.0005", "KWD", "1.001"),
        ("1.00005", "CLF", "1.0001"), ("0", "CLF", "0.0000"), ("1E+3", "USD", "1000.00"),
    ],
)  # fmt: skip
def test_amounts_round_half_up_away_from_zero(amount, code, rounded):
    assert str(money.round_to_minor_units(D(amount), money.currency(code))) == rounded


@given(amounts, currencies)
@example(D("-0.004"), money.currency("USD"))
def test_rounding_moves_by_half_a_unit_at_most_and_halves_away_from_zero(amount, currency):
    rounded = money.round_to_minor_units(amount, currency)
    distance = Fraction(rounded) - Fraction(amount)
    half = Fraction(1, 2 * 10**currency.minor_units)
    assert abs(distance) <= half
    if abs(distance) == half:
        assert abs(rounded) > abs(amount)
    assert rounded.as_tuple().exponent == -currency.minor_units
    assert not (rounded.is_zero() and rounded.is_signed())


@given(amounts, currencies)
def test_rounding_is_the_same_for_both_signs_and_for_quotients(amount, currency):
    rounded = money.round_to_minor_units(amount, currency)
    assert money.round_to_minor_units(-amount, currency) == -rounded
    assert money.round_to_minor_units(Fraction(amount), currency) == rounded
    assert money.round_to_minor_units(rounded, currency) == rounded


@given(amounts, currencies)
def test_payable_is_subtotal_plus_rounding(subtotal, currency):
    payable = money.payable(subtotal, currency)
    assert Fraction(payable.amount) == Fraction(payable.subtotal) + Fraction(payable.rounding)
    assert payable.amount == money.round_to_minor_units(subtotal, currency)
    assert abs(payable.rounding) * 2 <= D(1).scaleb(-currency.minor_units)


def test_a_payable_without_rounding_says_so_with_a_plain_zero():
    assert str(money.payable(D("3.600"), money.currency("GEL")).rounding) == "0"


# Writing numbers

numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)


@given(numbers)
@example(D("1E+20"))
@example(D("1E-20"))
@example(D("-0"))
@example(D("0E+5"))
def test_plain_notation_round_trips_without_exponent_or_trailing_zeros(number):
    text = money.plain(number)
    assert D(text) == number
    assert not set(text) & set("eE+")
    assert text == "0" or not text.startswith("-0") or text.startswith("-0.")
    assert not ("." in text and text.endswith(("0", ".")))
    assert text != "-0"


@given(amounts, currencies)
def test_amounts_are_written_with_all_minor_units(amount, currency):
    rounded = money.round_to_minor_units(amount, currency)
    text = money.plain_minor(rounded, currency)
    assert D(text) == rounded
    assert len(text.partition(".")[2]) == currency.minor_units


@given(numbers)
def test_taking_zeros_off_changes_nothing_but_the_zeros(number):
    short = money.without_trailing_zeros(number)
    assert short == number
    exponent = short.as_tuple().exponent
    assert exponent <= 0
    assert exponent == 0 or short.as_tuple().digits[-1] != 0


@given(st.fractions(min_value=-(10**18), max_value=10**18), st.integers(min_value=0, max_value=12))
def test_leading_decimals_are_cut_off_never_rounded(amount, count):
    cut = money.leading_decimals(amount, count)
    assert cut.as_tuple().exponent == -count
    assert abs(Fraction(cut)) <= abs(amount) < abs(Fraction(cut)) + Fraction(1, 10**count)
    assert Fraction(cut) * amount >= 0
