"""bin/dev's own program, for real: everything embedded, as one typed it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from embedded import ports, probe, run_state
from embedded.files import read_if_there
from embedded.process_table import PROC, Identity, has_in_environment, identify, kill_all

PROJECT = Path(__file__).resolve().parents[2]
# The command is the end of what bin/dev says when all is ready.
READY = re.compile(r"^curl .*?^  -d '[^\n]*'$", re.MULTILINE | re.DOTALL)


class DevRun:
    def __init__(self, data_dir: Path, port: int | str, **environment: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.output = ""
        environment = {**os.environ, "DATA_DIR": str(data_dir), "PORT": str(port), **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.dev"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        # Read all along: with a full pipe its processes would wait in their logging.
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def ready(self) -> "DevRun":
        """Once it has said its whole welcome."""
        deadline = time.monotonic() + 200
        while not READY.search(self.output):
            assert self.reader.is_alive(), self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return self

    def interrupt(self) -> float:
        """How long it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self._wait()
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def refusal(self) -> str:
        self._wait()
        assert self.process.returncode == 1, self.output
        return self.output.strip()

    @property
    def api_key(self) -> str:
        return str(re.findall(r"API key +(\S+)", self.output)[0])

    def open_bill(self) -> dict[str, str]:
        """With the very command it printed."""
        command = READY.findall(self.output)[-1]
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        bill: dict[str, str] = json.loads(done.stdout)["data"]
        return bill

    def status(self, path: str) -> int | None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        answer = probe.get(int(self.port), path, headers=headers)
        return answer[0] if answer else None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.output += line

    def _wait(self) -> None:
        self.process.wait(60)
        self.reader.join(60)


def processes_of(data_dir: Path) -> list[Identity]:
    """All that carry the mark of this directory, or name it."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            marks = [data_dir / f"{name}.process.json" for name in ("web", "worker", "worker-2")]
            marks += [data_dir / name / f"{name}.process.json" for name in ("postgres", "temporal")]
            if any(has_in_environment(pid, "PAVE_BILLING_PROCESS", str(mark)) for mark in marks):
                identity = identify(pid)
                found += [identity] if identity else []
    return found


@pytest.fixture(scope="module")
def new_place() -> Iterator[Callable[[], tuple[Path, int]]]:
    """Directories that PostgreSQL's user can enter when root runs the tests; each with a free port."""
    with tempfile.TemporaryDirectory(prefix="pave-billing-dev-") as name:
        parent, names = Path(name), count()
        parent.chmod(0o711)
        used: list[Path] = []

        def new() -> tuple[Path, int]:
            directory = parent / f"var{next(names)}"
            used.append(directory)
            return directory, ports.kept_ports(parent / f"{directory.name}.json", ("web",))["web"]

        yield new
        for directory in used:
            kill_all(processes_of(directory))


@pytest.fixture(scope="module")
def dev(new_place: Callable[[], tuple[Path, int]]) -> Iterator[DevRun]:
    directory, port = new_place()
    metrics = ports.kept_ports(directory.with_suffix(".metrics.json"), ("worker",))["worker"]
    run = DevRun(directory, port, WORKER_METRICS_PORT=str(metrics))
    try:
        yield run.ready()
    finally:
        run.interrupt()


def test_the_printed_call_opens_a_bill(dev: DevRun) -> None:
    assert dev.open_bill()["customer_id"] == "hung"


def test_only_its_owner_may_read_what_it_keeps(dev: DevRun) -> None:
    secret = ("run.json", "credentials.json", "secret-key")
    assert {(dev.data_dir / name).stat().st_mode & 0o777 for name in secret} == {0o600}


def test_each_worker_is_counted_at_a_port_of_its_own(dev: DevRun) -> None:
    found = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", dev.output)]
    assert len(set(found)) == 2
    deadline = time.monotonic() + 60
    while any(probe.get(port, "/metrics") is None for port in found):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["web", "worker", "worker-2", "postgres", "temporal"])
def test_a_part_that_is_killed_comes_back(dev: DevRun, name: str) -> None:
    folder = dev.data_dir / name if name in {"postgres", "temporal"} else dev.data_dir
    record = folder / f"{name}.process.json"
    before = read_if_there(record)
    os.kill(json.loads(before)["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 120
    while read_if_there(record) in {"", before} or dev.status("/readyz?strict=1") != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert dev.open_bill()


def test_a_second_one_is_refused_whose_directory_or_port_is_taken(
    dev: DevRun, new_place: Callable[[], tuple[Path, int]]
) -> None:
    directory, port = new_place()
    assert DevRun(dev.data_dir, port).refusal() == (
        f"bin/dev already runs with DATA_DIR={dev.data_dir}: one beside it needs its own DATA_DIR and PORT."
    )
    assert f"Port {dev.port} is in use" in DevRun(directory, dev.port).refusal()
    assert dev.status("/healthz") == 200


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(
    new_place: Callable[[], tuple[Path, int]],
) -> None:
    place = new_place()
    first = DevRun(*place).ready()
    bill, before = first.open_bill()["id"], run_state.read(first.data_dir)
    assert processes_of(first.data_dir)
    assert first.interrupt() < 10
    assert first.process.returncode == 0
    assert processes_of(first.data_dir) == []
    assert run_state.read(first.data_dir) is None

    second = DevRun(*place).ready()
    after = run_state.read(second.data_dir)
    assert before is not None
    assert after is not None
    assert (after.environment, second.api_key) == (before.environment, first.api_key)
    assert second.status(f"/api/v1/bills/{bill}") == 200

    second.kill()
    kill_all(processes_of(second.data_dir))
    third = DevRun(*place).ready()
    assert third.status(f"/api/v1/bills/{bill}") == 200
    assert third.interrupt() < 10
    assert processes_of(third.data_dir) == []


def test_a_port_that_is_no_number_is_refused(tmp_path: Path) -> None:
    assert "PORT must be a number" in DevRun(tmp_path, "eighty").refusal()
