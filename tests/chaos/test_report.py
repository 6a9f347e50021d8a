"""What a run came to is told whole, and a difference fails it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.report import Recovery, Report
from tests.chaos.schedule import strikes


def test_a_report_tells_every_kind_of_kill_with_its_slowest_recovery() -> None:
    recoveries = [Recovery(strike, 1 + n, n / 10) for n, strike in enumerate(strikes(7, 20))]
    text = Report("A run", {"seed": "7"}, recoveries, Counter({("add", "200"): 1_234})).text

    assert all(f"| {one.strike.name} " in text for one in recoveries)
    assert "| all                    |    20 | 20.00 s          |" in text
    assert "| add  | 1,234 | 200      |" in text
    assert text.endswith("- seed: 7\n\n**Differences: 0**")


def test_one_difference_fails_a_run_and_is_told() -> None:
    assert not Report("A run").failed
    failed = Report("A run", differences={"": ["numbers have gaps"], "b1": ["an item is missing"]})
    assert failed.failed
    assert failed.text.endswith("**Differences: 2**\n\n- numbers have gaps\n- bill b1: an item is missing")


def test_results_of_a_day_stand_below_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    report.record(Report("First"))
    file = report.record(Report("Second"))
    assert file.read_text() == "# Faults\n\n## First\n\n**Differences: 0**\n\n## Second\n\n**Differences: 0**\n"
