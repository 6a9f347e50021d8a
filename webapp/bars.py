"""Where the parts of a bar chart stand; templates/charts.html draws them. Coordinates are worked out exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

COLUMN = 10
BAR_WIDTH = 7
HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure with its name. `column` is where its column begins, `left` where the bar does."""

    label: str
    amount: Decimal
    column: int
    left: str
    top: str
    height: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Columns side by side in a box `width` wide; `highest` and `lowest` are what its edges stand for."""

    bars: tuple[Bar, ...]
    zero: str
    highest: Decimal
    lowest: Decimal
    width: int
    height: int = HEIGHT
    column_width: int = COLUMN
    bar_width: int = BAR_WIDTH

    @property
    def is_flat(self) -> bool:
        """Whether there is nothing to see: no figure but 0."""
        return not any(bar.amount for bar in self.bars)


def bar_chart(figures: Sequence[tuple[str, Decimal]]) -> BarChart:
    """Upwards from zero, downwards what is negative; the edges are round figures."""
    amounts = [Decimal(0), *(amount for _, amount in figures)]
    highest, lowest = round_up(max(amounts)), -round_up(-min(amounts))
    span = Fraction(highest - lowest) or Fraction(1)
    zero = HEIGHT * Fraction(highest) / span if lowest else Fraction(HEIGHT)
    bars = tuple(_bar(n, label, amount, zero, span) for n, (label, amount) in enumerate(figures))
    return BarChart(bars, coordinate(zero), highest, lowest, COLUMN * len(figures))


def _bar(n: int, label: str, amount: Decimal, zero: Fraction, span: Fraction) -> Bar:
    height = HEIGHT * abs(Fraction(amount)) / span
    top = zero if amount < 0 else zero - height
    left = n * COLUMN + Fraction(COLUMN - BAR_WIDTH, 2)
    return Bar(label, amount, n * COLUMN, coordinate(left), coordinate(top), coordinate(height))


def round_up(amount: Decimal) -> Decimal:
    """To 1, 2, 2.5 or 5 times a power of ten: what people read an axis by. 0 and less are 0."""
    if amount <= 0:
        return Decimal(0)
    power = Decimal(1).scaleb(amount.adjusted())
    return next(power * Decimal(step) for step in ("1", "2", "2.5", "5", "10") if power * Decimal(step) >= amount)


def share(part: int, whole: int) -> str:
    """How wide a part of the whole is drawn, of 100; what is there at all is seen."""
    return coordinate(max(Fraction(100 * part, whole), Fraction(1))) if part else "0"


def coordinate(value: Fraction) -> str:
    """To a hundredth, which no screen shows, without trailing zeros; nothing stands outside the box."""
    hundredths = max(0, round(value * 100))
    return f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
