"""Currencies, exact amounts, and the one rounding rule.

Numbers are Decimal from the request's text to the database and back. Products and sums are
exact or fail: the context below traps Inexact, where Python's default would round silently
past 28 digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction
from functools import cache
from typing import cast

import iso4217

from billing.errors import InvalidArgument, UnsupportedCurrency

EXACT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
# Numbers as they came in may be longer than any amount: they are measured before they are refused.
_ANY_LENGTH = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation])

QUANTITY_DECIMALS = 6
UNIT_PRICE_DECIMALS = 12
MAX_FACTOR = Decimal(10**12)
MAX_LINE_TOTAL = Decimal(10**15)

# JSON's grammar for numbers, without the exponent: what a decimal written as text may look like.
_DECIMAL_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_LONGEST_DECIMAL_TEXT = 100


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency. `minor_units` is ISO's count of decimals, not CLDR's (they differ for 13)."""

    code: str
    minor_units: int


@cache
def _iso_currencies() -> dict[str, Currency]:
    entries = ((entry.code, entry.exponent) for entry in iso4217.Currency)
    return {code: Currency(code, exponent) for code, exponent in entries if exponent is not None}


def currency(code: str) -> Currency:
    """The ISO currency with exactly this upper-case code.

    Raises UnsupportedCurrency for anything else, codes without minor units (XAU, XXX) included.
    """
    try:
        return _iso_currencies()[code]
    except (KeyError, TypeError):
        raise UnsupportedCurrency(field="currency") from None


def is_currency(code: str) -> bool:
    return code in _iso_currencies()


def parse_decimal(value: object, field: str) -> Decimal:
    """A finite Decimal from a JSON number (already a Decimal) or from plain decimal text.

    Text takes ASCII digits only, no sign but minus, no exponent, no spaces.
    """
    if isinstance(value, str):
        if len(value) > _LONGEST_DECIMAL_TEXT or not _DECIMAL_TEXT.fullmatch(value):
            raise InvalidArgument(f"{field} must be a decimal number", field=field)
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise InvalidArgument(f"{field} must be a decimal number", field=field)
    return value or Decimal(0)


def parse_quantity(value: object) -> Decimal:
    """Greater than zero, at most 10^12, at most 6 decimals."""
    quantity = parse_decimal(value, "quantity")
    if quantity <= 0:
        raise InvalidArgument("quantity must be greater than zero", field="quantity")
    return _within(quantity, QUANTITY_DECIMALS, "quantity")


def parse_unit_price(value: object) -> Decimal:
    """Zero or more, at most 10^12, at most 12 decimals."""
    unit_price = parse_decimal(value, "unit_price")
    if unit_price < 0:
        raise InvalidArgument("unit_price cannot be negative", field="unit_price")
    return _within(unit_price, UNIT_PRICE_DECIMALS, "unit_price")


def _within(value: Decimal, decimals: int, field: str) -> Decimal:
    if value > MAX_FACTOR:
        raise InvalidArgument(f"{field} cannot exceed 1000000000000", field=field)
    exact, exponent = _shortest(value)
    if -exponent > decimals:
        raise InvalidArgument(f"{field} cannot have more than {decimals} decimals", field=field)
    return exact


def without_trailing_zeros(value: Decimal) -> Decimal:
    """The same number with as few decimals as it needs and no exponent (3.60 -> 3.6, 1E+3 -> 1000)."""
    return _shortest(value)[0]


def _shortest(value: Decimal) -> tuple[Decimal, int]:
    """As `without_trailing_zeros`, with its exponent, which is dear to ask a Decimal for."""
    if not value:
        return Decimal(0), 0
    shortest = _ANY_LENGTH.normalize(value)
    exponent = cast("int", shortest.as_tuple().exponent)
    return (shortest, exponent) if exponent <= 0 else (_ANY_LENGTH.quantize(shortest, Decimal(1)), 0)


def line_total(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """quantity x unit_price, exact, at most 10^15. The one place that multiplies prices."""
    total = without_trailing_zeros(EXACT.multiply(quantity, unit_price))
    if abs(total) > MAX_LINE_TOTAL:
        raise InvalidArgument("the line total cannot exceed 1000000000000000", field="unit_price")
    return total


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return without_trailing_zeros(total)


def round_to_minor_units(amount: Decimal | Fraction, to: Currency) -> Decimal:
    """Half up, away from zero, to the currency's minor units. The one place that rounds money.

    A Fraction is an exact quotient, as conversions have them, so that it is rounded once.
    The answer carries all minor units (3.6 GEL -> 3.60).
    """
    numerator, denominator = amount.as_integer_ratio()
    # Whole numbers: a Fraction would look for common factors at every step.
    units = (2 * abs(numerator) * 10**to.minor_units + denominator) // (2 * denominator)
    return EXACT.scaleb(Decimal(-units if numerator < 0 else units), -to.minor_units)


def leading_decimals(amount: Fraction, count: int) -> Decimal:
    """Its first decimals, the rest cut off: to show people what is about to be rounded."""
    units = abs(amount.numerator) * 10**count // amount.denominator
    return EXACT.scaleb(Decimal(-units if amount < 0 else units), -count)


@dataclass(frozen=True, slots=True)
class Payable:
    """What is to be paid in one currency: `subtotal + rounding == amount`, always."""

    currency: Currency
    subtotal: Decimal
    amount: Decimal
    rounding: Decimal


def payable(subtotal: Decimal, in_currency: Currency) -> Payable:
    amount = round_to_minor_units(subtotal, in_currency)
    return Payable(in_currency, subtotal, amount, without_trailing_zeros(EXACT.subtract(amount, subtotal)))


def plain(value: Decimal) -> str:
    """Plain notation without trailing zeros: how exact figures are written."""
    return format(_ANY_LENGTH.normalize(value), "f") if value else "0"


def plain_minor(amount: Decimal, in_currency: Currency) -> str:
    """Plain notation with all minor units: how payable and converted figures are written."""
    return format(amount, f".{in_currency.minor_units}f")
