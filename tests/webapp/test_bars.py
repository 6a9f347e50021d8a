"""Where bars stand."""

from decimal import Decimal

import pytest

from webapp.bars import bar_chart, round_up, share


def figures(*amounts: str):
    return [(str(n), Decimal(amount)) for n, amount in enumerate(amounts)]


def test_bars_rise_from_the_bottom_to_their_share_of_a_round_figure():
    chart = bar_chart(figures("0", "5", "10"))
    assert (chart.highest, chart.lowest, chart.zero, chart.width) == (10, 0, "100", 30)
    assert [(bar.left, bar.top, bar.height) for bar in chart.bars] == [
        ("1.5", "100", "0"),
        ("11.5", "50", "50"),
        ("21.5", "0", "100"),
    ]


def test_what_is_negative_hangs_below_zero():
    chart = bar_chart(figures("30", "-10"))
    assert (chart.highest, chart.lowest, chart.zero) == (50, -10, "83.33")
    assert [(bar.top, bar.height) for bar in chart.bars] == [("33.33", "50"), ("83.33", "16.67")]
    assert bar_chart(figures("-1", "0")).zero == "0"


def test_a_chart_of_nothing_is_flat_and_has_its_columns():
    chart = bar_chart(figures("0", "0"))
    assert chart.is_flat
    assert [bar.height for bar in chart.bars] == ["0", "0"]
    assert not bar_chart(figures("0", "0.01")).is_flat


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0", "0"), ("1", "1"), ("1.1", "2"), ("2.4", "2.5"), ("2.6", "5"), ("7", "10"), ("123456.78", "200000"),
        ("0.00049", "0.0005"), ("1000000000000000000000000", "1000000000000000000000000"),
    ],
)  # fmt: skip
def test_edges_are_round_figures(amount, rounded):
    assert round_up(Decimal(amount)) == Decimal(rounded)


def test_a_share_however_small_is_seen():
    assert share(0, 0) == share(0, 1_000) == "0"
    assert share(1, 1_000_000) == "1"
    assert share(1, 3) == "33.33"
    assert share(7, 7) == "100"
