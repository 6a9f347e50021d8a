"""Where the parts of a line chart stand; templates/charts.html draws them. The figures stand in a table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

WIDTH = 1_000
HEIGHT = 300
MOST_STEPS = 4
# A value that never moves stands in the middle of this share of itself.
SPREAD_OF_A_CONSTANT = Decimal("0.02")
_FOR_DRAWING = Context(prec=24)


@dataclass(frozen=True, slots=True)
class Point:
    moment: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class LineChart:
    """Coordinates are of a box WIDTH wide and HEIGHT high. Labels are evenly spread: `y_labels` from the top down."""

    title: str
    description: str
    trace: str
    last: tuple[int, int]
    gridlines: tuple[int, ...]
    y_labels: tuple[str, ...]
    x_labels: tuple[str, ...]
    points: Sequence[Point]
    width: int = WIDTH
    height: int = HEIGHT


def line_points(points: Sequence[Point], *, title: str, description: str) -> LineChart | None:
    """From at least two points, oldest first; fewer make no line."""
    if len(points) < 2 or points[0].moment == points[-1].moment:
        return None
    ticks = _ticks([point.value for point in points])
    places = [_place(point, points, ticks) for point in points]
    decimals = max(0, -int(_exponent(ticks[1] - ticks[0])))
    steps = len(ticks) - 1
    return LineChart(
        title=title,
        description=description,
        trace=" ".join(f"{x},{y}" for x, y in places),
        last=places[-1],
        gridlines=tuple(HEIGHT * n // steps for n in range(len(ticks))),
        y_labels=tuple(f"{tick:,.{decimals}f}" for tick in reversed(ticks)),
        x_labels=_days(points[0].moment, points[-1].moment),
        points=points,
    )


def _ticks(values: Sequence[Decimal]) -> list[Decimal]:
    """Round figures at equal distances, the first at or below all values and the last at or above them."""
    lowest, highest = min(values), max(values)
    if lowest == highest:
        half = (abs(lowest) or Decimal(1)) * SPREAD_OF_A_CONSTANT / 2
        lowest, highest = lowest - half, highest + half
    step = _round_step(_FOR_DRAWING.divide(highest - lowest, Decimal(MOST_STEPS)))
    first = _FOR_DRAWING.divide(lowest, step).to_integral_value(ROUND_FLOOR)
    last = _FOR_DRAWING.divide(highest, step).to_integral_value(ROUND_CEILING)
    return [step * n for n in range(int(first), int(last) + 1)]


def _round_step(least: Decimal) -> Decimal:
    """The smallest of 1, 2 and 5 times a power of ten that is at least this."""
    power = Decimal(1).scaleb(least.adjusted())
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least).normalize()


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _place(point: Point, points: Sequence[Point], ticks: Sequence[Decimal]) -> tuple[int, int]:
    start, end = points[0].moment, points[-1].moment
    share = _FOR_DRAWING.divide(point.value - ticks[0], ticks[-1] - ticks[0])
    return (point.moment - start) * WIDTH // (end - start), HEIGHT - int(share * HEIGHT)


def _days(start: datetime, end: datetime) -> tuple[str, ...]:
    """First, middle and last, as far as they are different days."""
    moments = (moment.astimezone(UTC) for moment in (start, start + (end - start) / 2, end))
    return tuple(dict.fromkeys(f"{moment.day} {moment:%b}" for moment in moments))
