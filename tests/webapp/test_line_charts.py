"""Where the parts of a line chart stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.line_charts import HEIGHT, WIDTH, LineChart, Point, line_points

START = datetime(2026, 10, 1, tzinfo=UTC)


def chart(*values: str) -> LineChart:
    points = [Point(START + timedelta(days=n), Decimal(value)) for n, value in enumerate(values)]
    made = line_points(points, title="t", description="d")
    assert made is not None
    return made


def test_the_first_is_on_the_left_and_the_last_on_the_right():
    drawn = chart("1", "3", "2")
    assert drawn.trace == f"0,{HEIGHT} {WIDTH // 2},0 {WIDTH},{HEIGHT // 2}"
    assert drawn.last == (WIDTH, HEIGHT // 2)
    assert drawn.x_labels == ("1 Oct", "2 Oct", "3 Oct")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (("2.71", "2.73", "2.79"), ("2.80", "2.78", "2.76", "2.74", "2.72", "2.70")),
        (("0.00003", "0.00004"), ("0.000040", "0.000035", "0.000030")),
        (("26000", "27500"), ("27,500", "27,000", "26,500", "26,000")),
        (("3.6725", "3.6725"), ("3.72", "3.70", "3.68", "3.66", "3.64", "3.62")),
    ],
)
def test_the_scale_has_round_figures(values: tuple[str, ...], labels: tuple[str, ...]):
    assert chart(*values).y_labels == labels


def test_a_value_that_never_moves_stands_in_the_middle():
    assert HEIGHT // 3 < chart("3.6725", "3.6725").last[1] < HEIGHT * 2 // 3


def test_one_point_makes_no_line():
    assert line_points([Point(START, Decimal(1))], title="t", description="d") is None
    assert line_points([], title="t", description="d") is None


@given(st.lists(st.decimals("1e-12", "1e12", allow_nan=False), min_size=2, max_size=50))
def test_every_point_lies_within_the_box(values: list[Decimal]):
    drawn = chart(*(str(value) for value in values))
    places = [tuple(map(int, place.split(","))) for place in drawn.trace.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert 2 <= len(drawn.gridlines) == len(drawn.y_labels) <= 7
    assert (drawn.gridlines[0], drawn.gridlines[-1]) == (0, HEIGHT)
