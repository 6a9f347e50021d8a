"""Runs several services as one: started in order, started again when they die, stopped together."""

import fcntl
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Protocol, Self

from embedded.child import Child

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
# Who lived this long before dying is taken to be sound.
SOUND_AFTER_SECONDS = 5.0


class Stopped(Exception):
    """Someone asked for the end: Ctrl-C, SIGTERM, or the terminal was closed."""


class AlreadyRunning(Exception):
    """Another process runs the services of this directory."""


class Service(Protocol):
    """What a supervisor needs of Postgres, Temporal and Program alike."""

    name: str

    @property
    def running(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    def launch(self, pause: Callable[[float], None]) -> None: ...
    def stop(self, seconds: float) -> None: ...


class Program:
    """A program without state of its own; its output appears on ours, each line after its name."""

    def __init__(self, child: Child) -> None:
        self.name = child.name
        self._child = child

    def launch(self, _pause: Callable[[float], None] = time.sleep) -> None:
        self._child.start()
        output = self._child.output
        if output:
            threading.Thread(target=self._forward, args=[output], daemon=True).start()

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code

    def stop(self, seconds: float = 5) -> None:
        self._child.stop(seconds)

    def _forward(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                say(f"{self.name:>9} | {line.decode(errors='replace').rstrip()}")


@dataclass
class _Watched:
    service: Service
    stop_within: float
    launched: float = 0.0
    delay: float = 0.0
    due: float | None = None


class Supervisor:
    """Holds `data_dir` for itself while entered, and leaves no process of its services behind.

    Services may only be started from the thread that entered: on Linux they are told when it ends.
    """

    def __init__(self, data_dir: Path) -> None:
        self._lock_file = data_dir / "lock"
        self._lock: IO[str] | None = None
        self._stop_asked = threading.Event()
        self._watched: list[_Watched] = []
        self._watching = False

    def __enter__(self) -> Self:
        self._lock = self._lock_file.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning(self._lock_file.parent) from None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP on purpose. SIGINT a shell ignores for any background job.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask_to_stop)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop_all()
        if self._lock:
            self._lock.close()

    def add(self, service: Service, *, stop_within: float) -> None:
        """Launches it. At the end services are stopped last first, each of them killed when
        `stop_within` seconds have passed since the end was asked for."""
        watched = _Watched(service, stop_within, time.monotonic())
        self._watched.append(watched)
        service.launch(self.pause)

    def pause(self, seconds: float) -> None:
        """To be called wherever something is waited for. Raises Stopped when the end is asked for."""
        self._wait(seconds)
        if self._watching:
            for watched in self._watched:
                self._look_after(watched)

    def keep_alive(self) -> None:
        """From now on whatever dies is started again, within each `pause`."""
        self._watching = True

    def run(self) -> None:
        """Until Stopped."""
        self.keep_alive()
        while True:
            self.pause(0.1)

    def _wait(self, seconds: float) -> None:
        if self._stop_asked.wait(seconds):
            raise Stopped

    def _look_after(self, watched: _Watched) -> None:
        if watched.service.running:
            return
        now = time.monotonic()
        if watched.due is None:
            self._plan_restart(watched, now)
        if watched.due is not None and now >= watched.due:
            watched.due, watched.launched = None, now
            try:
                watched.service.launch(self._wait)
            except (OSError, RuntimeError) as error:
                say(f"{watched.service.name}: {error}")

    def _plan_restart(self, watched: _Watched, now: float) -> None:
        if now - watched.launched > SOUND_AFTER_SECONDS or watched.delay == 0.0:
            delay, watched.delay = 0.0, FIRST_DELAY_SECONDS
        else:
            delay, watched.delay = watched.delay, min(watched.delay * 2, LONGEST_DELAY_SECONDS)
        watched.due = now + delay
        when = f"in {delay:.1f} s" if delay else "now"
        say(f"{watched.service.name} ended ({_reason(watched.service.exit_code)}): started again {when}")

    def _stop_all(self) -> None:
        self._watching = False
        began = time.monotonic()
        for watched in reversed(self._watched):
            with suppress(OSError):
                watched.service.stop(max(began + watched.stop_within - time.monotonic(), 0.2))

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_asked.set()


def say(line: str) -> None:
    """Prints, and goes on when nobody reads any more: the terminal may be gone before we are."""
    with suppress(OSError, ValueError):
        # In one piece: threads that forward output write as well.
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
