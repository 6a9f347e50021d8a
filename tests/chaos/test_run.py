"""The command itself: what it starts ends with it, also when it is told to stop in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedded import process_table
from tests.support.stack import CHECKOUT

STOPPED_WITHIN_S = 60


@pytest.mark.skipif(not process_table.LINUX, reason="looks for processes by their environment, in /proc")
@pytest.mark.parametrize("told", [signal.SIGTERM])
def test_a_run_that_is_told_to_stop_leaves_no_process_and_no_directory(told: signal.Signals) -> None:
    command = [sys.executable, "-u", "-m", "tests.chaos.run", "--kills", "50", "--items", "3000", "--seed", "1"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        lines = iter(run.stdout)
        next(lines)
        directory = Path(next(lines).split()[-1])
        running = processes_with(str(directory))
        run.send_signal(told)
        output = "".join(lines)
        assert run.wait(STOPPED_WITHIN_S) == 128 + told, output

    assert len(running) >= 4, "the system did not run"
    deadline = time.monotonic() + 5
    while processes_with(str(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_with(str(directory)) == []
    assert not directory.exists()


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
