"""Which process is which. A process id is used again after its process has ended; together with the
moment of its start it is not, so only the pair may be signalled."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from embedded.files import read_if_there, write_private

PROC = Path("/proc")
LINUX = sys.platform == "linux"


@dataclass(frozen=True)
class Identity:
    pid: int
    started: str

    @property
    def alive(self) -> bool:
        return _started(self.pid) == self.started

    def signal(self, number: int) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time. It need not be our own child."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.alive

    def write(self, file: Path) -> None:
        write_private(file, json.dumps(asdict(self)))


def identify(pid: int) -> Identity | None:
    started = _started(pid)
    return Identity(pid, started) if started else None


def read(file: Path) -> Identity | None:
    """The process that `file` names; it may have ended since."""
    try:
        return Identity(**json.loads(read_if_there(file) or "null"))
    except (TypeError, ValueError):
        return None


def command_line(pid: int) -> list[str]:
    if not LINUX:
        return _ps(pid, "command=").split()
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def has_in_environment(pid: int, name: str, value: str) -> bool:
    if not LINUX:
        return False
    try:
        return f"{name}={value}".encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def children(pid: int) -> list[Identity]:
    return _processes_where(parent=pid)


def session_members(leader: int) -> list[Identity]:
    """Those in the session that process `leader` began, whether or not it still lives."""
    return _processes_where(session=leader)


def kill_all(processes: list[Identity]) -> None:
    for process in processes:
        process.signal(signal.SIGKILL)


def _processes_where(*, parent: int | None = None, session: int | None = None) -> list[Identity]:
    found = []
    for pid in _all_pids():
        fields = _stat(pid)
        if fields and (int(fields[1]) == parent or int(fields[3]) == session):
            process = identify(pid)
            if process:
                found.append(process)
    return found


def _all_pids() -> list[int]:
    if not LINUX:
        return [int(pid) for pid in _run_ps("-axo", "pid=").split()]
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _started(pid: int) -> str | None:
    """When the process began, in words that no other boot of the machine repeats; None if it ended.

    One that has ended but was not yet reaped by its parent counts as ended.
    """
    if not LINUX:
        state, _, began = _ps(pid, "stat=,lstart=").partition(" ")
        return None if not state or state.startswith("Z") else began.strip()
    fields = _stat(pid)
    return None if not fields or fields[0] in "ZX" else f"{_boot()} {fields[19]}"


def _stat(pid: int) -> list[str]:
    """State, parent, process group, session and what follows them in proc_pid_stat(5)."""
    if not LINUX:
        return _ps(pid, "stat=,ppid=,pgid=,pgid=").split()
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@cache
def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _ps(pid: int, columns: str) -> str:
    return _run_ps("-o", columns, "-p", str(pid))


def _run_ps(*arguments: str) -> str:
    done = subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - fixed program
    return done.stdout.strip()
