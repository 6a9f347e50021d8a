"""Where the bars of a chart stand; templates/charts.html draws them. The figures stand in a table beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

COLUMN = 20
GAP = 4
HEIGHT = 200
_FOR_DRAWING = Context(prec=24)


@dataclass(frozen=True, slots=True)
class Bar:
    """`x` and `width` are of the bar, `left` of its whole column."""

    name: str
    value: Decimal
    left: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BarChart:
    """Coordinates are of a box `width` wide and `height` high; `zero` is where bars stand on."""

    bars: Sequence[Bar]
    highest: Decimal
    lowest: Decimal
    zero: int
    names: tuple[str, ...]
    width: int
    height: int = HEIGHT
    column: int = COLUMN

    @property
    def is_flat(self) -> bool:
        return not self.highest and not self.lowest


def bar_chart(values: Sequence[tuple[str, Decimal]]) -> BarChart:
    """One bar for each named value, from the left; those below zero hang from it."""
    figures = [value for _, value in values]
    highest, lowest = max([*figures, Decimal(0)]), min([*figures, Decimal(0)])
    span = highest - lowest or Decimal(1)
    zero = _units(highest, span)
    bars = [_bar(n, name, value, span, zero) for n, (name, value) in enumerate(values)]
    return BarChart(bars, highest, lowest, zero, _some(name for name, _ in values), width=COLUMN * len(values))


def _bar(n: int, name: str, value: Decimal, span: Decimal, zero: int) -> Bar:
    height = _units(abs(value), span)
    left = n * COLUMN
    return Bar(name, value, left, left + GAP // 2, zero - height if value > 0 else zero, COLUMN - GAP, height)


def _units(value: Decimal, span: Decimal) -> int:
    """What isn't nothing is seen."""
    return max(int(_FOR_DRAWING.divide(value * HEIGHT, span)), 1) if value else 0


def _some(names: Iterable[str]) -> tuple[str, ...]:
    """First, middle and last."""
    every = list(names)
    return tuple(dict.fromkeys((every[0], every[len(every) // 2], every[-1]))) if every else ()


def share(count: int, most: int) -> int:
    """Of a hundred; what isn't nothing is seen."""
    return max(count * 100 // most, 1) if count else 0
