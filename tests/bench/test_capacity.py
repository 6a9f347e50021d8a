"""The calculation, by figures that are easy to do in one's head."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from bench.capacity import (
    BUSY,
    ENDED_AT_ONCE,
    ENDED_PER_S,
    ENDED_PER_S_AT_MOST,
    NEWS_PER_S,
    POOL_SIZE,
    TEST_POOL_SIZE,
    TIMERS_SPREAD_S,
    Costs,
    Load,
    capacity,
    main,
    table,
)
from billing.ledger import engines
from workflows import catching_up, messages, news

COSTS = Costs(
    bytes_per_bill={"bills": 600.0, "events": 400.0},
    bytes_per_item={"line_items": 200.0, "events": 300.0},
    web_add_ms=2.0,
    postgres_add_ms=0.5,
    worker_told_ms=10.0,
    temporal_told_ms=20.0,
    closed_per_s=1_000.0,
)
# 2,592,000 seconds a month: a million bills with 25.92 items are ten items a second.
MILLION = Load(1_000_000, items=25.92, peak=10.0)


def test_a_million_bills_by_hand() -> None:
    found = capacity(MILLION, COSTS)

    assert found.items_per_s == pytest.approx(10)
    assert found.peak_items_per_s == pytest.approx(100)
    assert found.gb_a_month == pytest.approx(1_000_000 * (1_000 + 25.92 * 500) / 1e9)
    assert found.rows_a_month == pytest.approx(1_000_000 * (6 + 3 * 25.92))
    assert found.web_cores == pytest.approx(0.2)
    assert found.postgres_cores == pytest.approx(0.05)
    assert found.worker_cores == pytest.approx(0.1)
    assert found.temporal_cores == pytest.approx(0.2)
    assert found.actions_per_s == pytest.approx(10 * 2 + 5_000_000 / 2_592_000)
    assert found.month_end_s == pytest.approx(1_000)
    assert found.workflows_end_h == pytest.approx(1_000_000 / 80 / 3600)


def test_ten_times_the_bills_are_ten_times_everything_that_is_not_rounded_up() -> None:
    one, ten = capacity(MILLION, COSTS), capacity(replace(MILLION, bills=10_000_000), COSTS)

    for name in ("rows_a_month", "gb_a_month", "items_per_s", "web_cores", "actions_per_s", "month_end_s"):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name))


def test_there_are_processes_enough_and_never_fewer_than_two() -> None:
    busy = capacity(Load(10_000_000, items=1_000), COSTS)

    assert capacity(Load(1), COSTS).web_processes == 2
    assert busy.web_processes * BUSY >= busy.web_cores > (busy.web_processes - 1) * BUSY
    assert busy.news_processes * 5 >= busy.news_per_s > (busy.news_processes - 1) * 5
    assert busy.connections == (busy.news_processes + busy.worker_processes) * 50


def test_news_that_cover_many_items_cost_temporal_less_and_the_ledger_the_same() -> None:
    each, merged = capacity(MILLION, COSTS), capacity(replace(MILLION, merged=10.0), COSTS)

    assert merged.news_per_s == pytest.approx(each.news_per_s / 10)
    assert merged.actions_per_s < each.actions_per_s
    assert merged.gb_a_month == each.gb_a_month


def test_timers_of_one_end_go_off_before_the_sweep_comes_to_them_when_they_are_many() -> None:
    """By hand: the sweep of two workers ends 144,000 while timers are spread."""
    few, many = capacity(Load(1_440), COSTS), capacity(Load(144_000), COSTS)

    assert many.timers_per_s == pytest.approx(80)
    assert many.timers_temporal_cores == pytest.approx(80 * 0.045)
    assert many.timers_worker_cores == pytest.approx(80 * 0.029)
    assert few.woken_first == pytest.approx(0.005, rel=0.01)
    assert many.woken_first == pytest.approx(1 / math.e)
    assert many.woken_first == pytest.approx(second_by_second(144_000), abs=0.002)
    assert capacity(Load(10_000_000), COSTS).woken_first > 0.98


def second_by_second(left: float) -> float:
    """What the formula says, counted."""
    ending, woken = left, 0.0
    for second in range(TIMERS_SPREAD_S):
        left = max(0.0, left - 2 * ENDED_PER_S)
        going_off = left / (TIMERS_SPREAD_S - second)
        left, woken = left - going_off, woken + going_off
    return woken / ending


def test_what_is_counted_with_is_what_the_code_has() -> None:
    assert TIMERS_SPREAD_S == messages.TIMERS_SPREAD_S
    assert (ENDED_AT_ONCE, ENDED_PER_S_AT_MOST) == (catching_up.ENDINGS_AT_ONCE, catching_up.ENDINGS_PER_S)
    assert NEWS_PER_S == news.SIGNALS_PER_S
    assert (POOL_SIZE, TEST_POOL_SIZE) == (engines.POOL_SIZE, engines.TEST_POOL_SIZE)


def test_the_table_has_a_column_for_each_size() -> None:
    lines = table([Load(10), Load(1_000)], COSTS).splitlines()

    assert lines[0] == "|  | 10 bills | 1,000 bills |"
    assert {line.count("|") for line in lines} == {4}


def test_it_prints_what_was_asked_for() -> None:
    done = CliRunner().invoke(main, ["--bills", "250000", "--items", "400"])

    assert done.exit_code == 0, done.output
    assert "250,000 bills" in done.output
