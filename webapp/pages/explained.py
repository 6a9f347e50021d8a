"""How a figure came about, in steps that can be done again by hand.

Every figure here comes from the functions that made it in the first place: `billing.money` and `billing.rates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from billing import money
from billing.bill import LineItem
from billing.ledger.bill_lines import SubtotalParts
from billing.money import Currency, Payable
from billing.rates import Conversion, Leg
from webapp.formatting import figure

TIMES = "\N{MULTIPLICATION SIGN}"
ROUNDED = "\N{ALMOST EQUAL TO}"
# More decimals than the currency has: enough to see which way a conversion was rounded.
DECIMALS_BEFORE_ROUNDING = 6


@dataclass(frozen=True, slots=True)
class Step:
    """`sign` is what is done with the amount. Without `code` it is a bare number; `minor`: with all minor units."""

    sign: str
    label: str
    amount: Decimal
    code: str | None = None
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """`rule` says in a sentence by which rule the steps lead to the result."""

    title: str
    steps: tuple[Step, ...]
    result: Step
    rule: str
    uses_rates: bool = False


def line_total(item: LineItem) -> Explanation:
    """Negative for a line that takes another one back."""
    total = money.line_total(item.quantity, item.unit_price)
    back = " It takes an earlier line back, so its quantity is negative." if item.reverses else ""
    return Explanation(
        "Line total",
        (Step("", "Quantity", item.quantity), Step(TIMES, "Unit price", item.unit_price, item.currency)),
        Step("=", "Line total", total, item.currency),
        f"Multiplied exactly. A line is never rounded.{back}",
    )


def subtotal(parts: SubtotalParts, code: str) -> Explanation:
    """The newest lines one by one, the earlier ones as what they come to."""
    steps = [Step("+", item.description, item.total, code) for item in parts.newest]
    if parts.earlier_count:
        steps.append(Step("+", _count(parts.earlier_count, "earlier line"), parts.earlier_total, code))
    total = money.exact_sum(step.amount for step in steps)
    count = len(parts.newest) + parts.earlier_count
    return Explanation(
        f"Accrued in {code}",
        tuple(steps),
        Step("=", f"Sum of {_count(count, 'line')}", total, code),
        "Added exactly, reversals included. Nothing is rounded.",
    )


def payable(of: Payable) -> Explanation:
    code, decimals = of.currency.code, of.currency.minor_units
    steps = (
        Step("", "Accrued, exact", of.subtotal, code),
        Step("+", "Rounding", of.rounding, code),
    )
    return Explanation(
        f"Payable in {code}",
        steps,
        Step("=", "Payable", of.amount, code, minor=True),
        f"{code} has {_count(decimals, 'decimal')} (ISO 4217). The sum is rounded once, half up, away from zero"
        f"{'' if of.rounding else '; here there is nothing to round'}.",
    )


def converted(leg: Leg, to: Currency) -> Explanation:
    """One currency's part of the whole. A leg in the currency of the whole is its payable as it is."""
    code = leg.payable.currency.code
    paid = Step("", f"Payable in {code}", leg.payable.amount, code, minor=True)
    result = Step("=" if leg.exact == leg.converted else ROUNDED, f"In {to.code}", leg.converted, to.code, minor=True)
    title = f"{code} in {to.code}"
    if leg.rate_from is None or leg.rate_to is None:
        return Explanation(title, (paid,), result, f"It is in {to.code} already: nothing is converted.")
    unrounded = money.leading_decimals(leg.exact, to.minor_units + DECIMALS_BEFORE_ROUNDING)
    steps = (
        paid,
        Step("÷", f"Rate of {code}", leg.rate_from),
        Step(TIMES, f"Rate of {to.code}", leg.rate_to),
        Step("=", "Before rounding", unrounded, to.code),
    )
    rule = f"Rounded once, half up, to the {_count(to.minor_units, 'decimal')} of {to.code}."
    return Explanation(title, steps, result, rule, uses_rates=True)


def whole(conversion: Conversion) -> Explanation:
    """The sum of what the legs show; they are rounded one by one, so that it adds up."""
    assert conversion.amount is not None
    code = conversion.to.code
    steps = tuple(Step("+", _origin(leg), leg.converted, code, minor=True) for leg in conversion.legs)
    return Explanation(
        f"Whole bill in {code}",
        steps,
        Step("=", "Whole bill", conversion.amount, code, minor=True),
        "Each currency's payable is converted and rounded once; what is shown is what is added.",
        uses_rates=any(leg.rate_from is not None for leg in conversion.legs),
    )


def _origin(leg: Leg) -> str:
    code = leg.payable.currency.code
    paid = f"{figure(leg.payable.amount, code)} {code}"
    if leg.rate_from is None or leg.rate_to is None:
        return paid
    return f"{paid} ÷ {figure(leg.rate_from)} {TIMES} {figure(leg.rate_to)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
