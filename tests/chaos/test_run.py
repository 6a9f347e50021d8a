"""The command itself: what it starts ends with it, also when it is told to stop in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from embedded import process_table
from tests.chaos import report, run
from tests.chaos.report import Report
from tests.support.stack import CHECKOUT

STOPPED_WITHIN_S = 60


@pytest.mark.skipif(not process_table.LINUX, reason="looks for processes by their environment, in /proc")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_leaves_no_process_and_no_directory(told: signal.Signals) -> None:
    command = [sys.executable, "-u", "-m", "tests.chaos.run", "--kills", "50", "--items", "3000", "--seed", "1"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        lines = iter(started.stdout)
        next(lines)
        directory = Path(next(lines).split()[-1])
        running = processes_with(str(directory))
        # As Ctrl-C does, which every process of the terminal's group gets.
        os.killpg(started.pid, told)
        output = "".join(lines)
        assert started.wait(STOPPED_WITHIN_S) == 128 + told, output

    assert len(running) >= 4, "the system did not run"
    deadline = time.monotonic() + 5
    while processes_with(str(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_with(str(directory)) == []
    assert not directory.exists()


def test_a_bare_run_is_the_short_one() -> None:
    asked = run._parsed([])
    assert (asked.kills, asked.items, asked.races) == (20, 2_000, 100)
    # What a run prints of itself repeats it.
    assert run._parsed(run._command(asked).split()) == asked


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs that meet nothing are recorded; their races break off."""

    def broken_off(*_: object) -> Report:
        raise RuntimeError("the races broke off")

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run, "STOPS", ())
    monkeypatch.setattr(run, "System", lambda: nullcontext(SimpleNamespace(directory=tmp_path, keep=False)))
    monkeypatch.setattr(run, "_killed", lambda *_: Report("Kills", {"commit": "abc"}))
    monkeypatch.setattr(run, "raced", broken_off)
    return tmp_path / "results"


@pytest.mark.parametrize("arguments", ["--kills 100", "--kills 1 --record"])
def test_the_result_of_a_long_run_is_recorded_with_its_command_also_when_its_races_break_off(
    results: Path, arguments: str
) -> None:
    with pytest.raises(RuntimeError, match="the races broke off"):
        run.main([*arguments.split(), "--seed", "7"])
    (file,) = results.iterdir()
    kills = arguments.split()[1]
    command = f"- command: `bin/chaos --kills {kills} --items 2000 --bills 40 --races 100 --seed 7`"
    assert file.read_text() == f"# Faults\n\n## Kills\n\n- commit: abc\n{command}\n\n**Differences: 0**\n"


def test_a_short_run_records_nothing(results: Path) -> None:
    assert run.main(["--races", "0"]) == 0
    assert not results.exists()


def processes_with(directory: str) -> list[int]:
    """Those whose record is in this directory, with all their children."""
    found = []
    for entry in process_table.PROC.iterdir():
        try:
            if entry.name.isdigit() and f"PAVE_BILLING_PROCESS={directory}/" in (entry / "environ").read_text():
                found.append(int(entry.name))
        except (OSError, UnicodeDecodeError):
            continue
    return found
