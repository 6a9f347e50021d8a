import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from embedded.process_table import Identity, identify, kill_all
from tests.support.stopwatch import stopwatch

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's end")


class Run:
    """A run of supervised.py, read line by line."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-m", "tests.embedded.supervised", str(data_dir)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.seen: list[Identity] = []

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def next_up(self) -> tuple[str, list[Identity]]:
        """Name, process and its child of the next program that says it is up."""
        while "up" not in (line := self.line()):
            assert line, "the supervisor ended"
        name, _, text = line.partition(" | ")
        found = [identify(int(pid)) for pid in text.split()[1:]]
        processes = [process for process in found if process]
        self.seen += processes
        return name.strip(), processes

    def both_up(self) -> dict[str, list[Identity]]:
        return dict([self.next_up(), self.next_up()])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        # The stubborn ones survive their supervisor.
        kill_all(self.seen)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Run]]:
    with ExitStack() as stack:

        def start() -> Run:
            run = Run(tmp_path)
            stack.callback(run.close)
            return run

        yield start


def gone(processes: list[Identity], seconds: float = 30) -> bool:
    return all(process.wait(seconds) for process in processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_everything(start: Callable[[], Run], number: signal.Signals) -> None:
    run = start()
    up = run.both_up()
    with stopwatch() as took:
        run.process.send_signal(number)
        output, _ = run.process.communicate(timeout=60)
    assert output.strip() == "stopped"
    assert took.s < 4
    assert gone([*up["willing"], *up["stubborn"]])


@pytest.mark.parametrize("name", ["willing", "stubborn"])
def test_what_dies_is_started_again_without_what_it_left(start: Callable[[], Run], name: str) -> None:
    run = start()
    before = run.both_up()[name]
    os.kill(before[0].pid, signal.SIGKILL)
    assert run.line() == f"{name} ended (SIGKILL): started again now"
    again, after = run.next_up()
    assert again == name
    assert gone(before)
    assert all(process.alive for process in after)


def test_what_dies_again_and_again_is_given_time(start: Callable[[], Run]) -> None:
    run = start()
    process = run.both_up()["willing"]
    lines = []
    for _ in range(3):
        os.kill(process[0].pid, signal.SIGKILL)
        lines.append(run.line())
        process = run.next_up()[1]
    assert [line.rpartition("again ")[2] for line in lines] == ["now", "in 0.5 s", "in 1.0 s"]


def test_a_second_one_for_the_same_directory_is_refused(start: Callable[[], Run]) -> None:
    first = start()
    up = first.both_up()
    assert start().line() == "already running"
    assert all(process.alive for process in up["willing"])


@linux
def test_those_that_listen_end_with_a_supervisor_that_was_killed(start: Callable[[], Run]) -> None:
    run = start()
    willing = run.both_up()["willing"]
    run.process.kill()
    assert gone(willing[:1])


def test_leftovers_of_a_supervisor_that_was_killed_end_at_the_next_start(start: Callable[[], Run]) -> None:
    first = start()
    before = first.both_up()
    first.process.kill()
    first.process.wait()
    assert all(process.alive for process in before["stubborn"])
    after = start().both_up()
    assert gone([*before["willing"], *before["stubborn"]])
    assert all(process.alive for process in after["stubborn"])
