"""One process that we start: in a session of its own, ending with us, remembered in a file."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from embedded import process_table
from embedded.unprivileged import Account

TIED = Path(__file__).with_name("tied.py")
MARK = "PAVE_BILLING_PROCESS"
LOG_LIMIT_BYTES = 10_000_000


def tied(command: list[str], death_signal: int, account: Account | None = None) -> list[str]:
    """The command that runs `command`, as `account`, and on Linux has it sent `death_signal` when the
    thread that starts it ends."""
    owner = f"{account.uid}:{account.gid}" if account else "-"
    python = [sys.executable, "-I", "-S", str(TIED)]
    return [*python, str(os.getpid()), str(int(death_signal)), owner, *command]


@dataclass
class Child:
    """`record` names the process to a later start, should this one be killed. Without `log` the
    output is to be read from `output`. Should we be killed, it gets `stop_signal` (Linux)."""

    name: str
    command: list[str]
    record: Path
    log: Path | None = None
    environment: dict[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        self.end_leftover()
        log = self._open_log()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                tied(self.command, self.stop_signal, self.account),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._marked_environment(),
                cwd=self.cwd,
                start_new_session=True,
            )
        finally:
            if not isinstance(log, int):
                log.close()
        identity = process_table.identify(self._process.pid)
        if identity:
            identity.write(self.record)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def output(self) -> IO[bytes] | None:
        return self._process.stdout if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, at the latest after `seconds`."""
        if self._process is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0))
        return not self.running

    def ask_to_stop(self) -> None:
        if self.running and self._process:
            self._process.send_signal(self.stop_signal)

    def stop(self, seconds: float = 5) -> None:
        """Asks it to stop, and ends it and all in its process group when it hasn't in time."""
        self.ask_to_stop()
        self.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the process and its group; also good after it has ended, for what it left."""
        if self._process is None:
            return
        # The id of a group can't be given to another process while one of the group lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.record.unlink(missing_ok=True)

    def end_leftover(self) -> None:
        """Ends the process that an earlier run recorded and, being killed, couldn't stop."""
        leftover = process_table.read(self.record)
        if leftover is None:
            return
        members = [
            member
            for member in process_table.session_members(leftover.pid)
            # Should the leader be gone, a stranger may have begun a session under its id.
            if process_table.has_in_environment(member.pid, MARK, str(self.record))
        ]
        leftover.signal(self.stop_signal)
        leftover.wait(5)
        process_table.kill_all([leftover, *members])
        for process in (leftover, *members):
            process.wait(5)
        self.record.unlink(missing_ok=True)

    def _marked_environment(self) -> dict[str, str]:
        inherited = dict(os.environ) if self.environment is None else self.environment
        return {**inherited, MARK: str(self.record)}

    def _open_log(self) -> IO[bytes] | int:
        if self.log is None:
            return subprocess.PIPE
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")
