"""bin/dev, as somebody types it, on a set-up checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from embedded import ports, probe, process_table
from embedded.process_table import PROC

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 30.0
LOOK_EVERY_S = 0.01
OURS = ("web", "worker", "worker-2")
PARTS = (*OURS, "postgres", "temporal")


class DevRun:
    """Seconds from the command to what is asked; ends with the `with`."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.port = ports.kept_ports(data_dir.with_suffix(".port.json"), ("web",))["web"]
        own = {"DATA_DIR": str(data_dir), "PORT": str(self.port), "GUNICORN_LOG_LEVEL": "error"}
        self._environment = {**environment, **own}

    @contextmanager
    def running(self, *, until: str = "/readyz") -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        """The program, and how long it took until `until` answered 200."""
        with self.data_dir.with_suffix(".log").open("ab") as log:
            began = time.monotonic()
            program = self._started(log)
            try:
                self.wait_until_ready(until)
                yield program, time.monotonic() - began
            finally:
                program.send_signal(signal.SIGINT)
                try:
                    program.wait(STOPPED_WITHIN_S)
                except subprocess.TimeoutExpired:
                    os.killpg(program.pid, signal.SIGKILL)

    def wait_until_ready(self, path: str = "/readyz") -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while (answer := probe.get(self.port, path)) is None or answer[0] != 200:
            if time.monotonic() > deadline:
                said = self.data_dir.with_suffix(".log").read_text()[-3000:]
                raise RuntimeError(f"bin/dev was not ready within {READY_WITHIN_S} s:\n{said}")
            time.sleep(LOOK_EVERY_S)

    def wait_until_whole(self) -> None:
        """Until all parts were started: the second worker is once the rest is ready."""
        deadline = time.monotonic() + READY_WITHIN_S
        while any(self._record(part) is None for part in PARTS):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all of {PARTS} run after {READY_WITHIN_S} s")
            time.sleep(LOOK_EVERY_S)

    def leader(self, part: str) -> int:
        """The process id of a part."""
        found = self._record(part)
        if found is None:
            raise RuntimeError(f"{part} doesn't run")
        return found.pid

    def processes(self, part: str) -> list[int]:
        """The part's own and its children's."""
        leader = self.leader(part)
        return [leader, *(child.pid for child in process_table.children(leader))]

    def _record(self, part: str) -> process_table.Identity | None:
        folder = self.data_dir if part in OURS else self.data_dir / part
        return process_table.read(folder / f"{part}.process.json")

    def _started(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(CHECKOUT / "bin" / "dev")],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def memory_mb(pids: list[int]) -> tuple[float, float]:
    """Resident, and proportional (pages that several share are divided among them), of all of these."""
    rss = pss = 0.0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
        rss, pss = rss + kilobytes.get("Rss", 0) / 1024, pss + kilobytes.get("Pss", 0) / 1024
    return rss, pss
