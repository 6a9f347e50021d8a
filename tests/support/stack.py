"""The whole system as processes of its own, to be killed and started again at will.

    with Stack(directory, database_url, temporal) as stack:
        stack.start()
        stack.web.kill()      # SIGKILL, with all its children
        stack.web.start()     # on the same port
        stack.worker.restart()

Whatever happens to the tests, the processes end: each is told to when the one that started it is gone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text

from billing.ledger.engines import create_engine
from billing.settings import Settings
from embedded import ports, probe
from embedded.child import Child
from embedded.files import last_lines
from embedded.postgres import Postgres
from embedded.temporal import Temporal

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 150
SECRET = "a secret of the tests"
WEB = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "webapp.app:create_app()"]
WORKER = ["-m", "workflows.worker"]


@dataclass
class Program:
    """One of the system's processes, with its children. `more` are further variables of its environment."""

    child: Child
    is_up: Callable[[], bool]
    base_environment: Mapping[str, str]

    def start(self, **more: str) -> None:
        """Returns once it does its work."""
        self.launch(**more)
        self.wait_until_up()

    def launch(self, **more: str) -> None:
        self.child.environment = {**self.base_environment, **more}
        self.child.start()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_up():
            assert self.child.running, f"{self.child.name} ended while it started:\n{self.log}"
            assert time.monotonic() < deadline, f"{self.child.name} is not up:\n{self.log}"
            time.sleep(0.05)

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> None:
        self.child.stop(10)

    def restart(self) -> None:
        self.stop()
        self.start()

    def wait_until_ended(self, within_s: float) -> None:
        """Of its own accord."""
        assert self.child.wait(within_s), f"{self.child.name} still runs"
        # What it left behind in its group, if anything.
        self.child.kill()

    @property
    def unforeseen(self) -> str:
        """From its log: the first failure that nobody had foreseen, and what follows."""
        lines = self.child.log.read_text().splitlines() if self.child.log else []
        found = (n for n, line in enumerate(lines) if "Traceback" in line or '"fault"' in line)
        first = next(found, len(lines))
        return "\n".join(lines[max(first - 3, 0) : first + 40]) if first < len(lines) else ""

    @property
    def maps(self) -> str:
        """What the process has in its memory, on Linux: its libraries among it."""
        return Path(f"/proc/{self.child.pid}/maps").read_text()

    @property
    def log(self) -> str:
        return last_lines(self.child.log, 60) if self.child.log else ""


class Stack:
    """Web and worker on one database, one task queue and one port of their own; `engine` is the tests' way in."""

    def __init__(self, directory: Path, database_url: str, temporal: Temporal, **environment: str) -> None:
        directory.mkdir(parents=True)
        self.engine: Engine = create_engine(database_url)
        self.port = ports.kept_ports(directory / "ports.json", ("web",))["web"]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_TASK_QUEUE": directory.name,
            "SECRET_KEY": SECRET,
            "WEBHOOK_RECEIVERS": "anywhere",
            "BIND_ADDRESS": ports.LOOPBACK,
            "PORT": str(self.port),
            "GUNICORN_LOG_LEVEL": "warning",
            **environment,
        }
        self.settings = Settings.from_environment(self.environment)
        self.web = self._program(directory, "web", WEB, self._web_answers)
        self.worker = self._program(directory, "worker", WORKER, self._worker_beats)

    @property
    def url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.web.stop()
        self.worker.stop()
        self.engine.dispose()

    def start(self) -> None:
        """Both at once, which takes no longer than one of them."""
        self.worker.launch()
        self.web.launch()
        self.worker.wait_until_up()
        self.web.wait_until_up()

    def worker_running(self, directory: Path, module: str) -> Program:
        """Another worker of the same system, which `module` is the entry of."""
        return self._program(directory, module.rsplit(".", 1)[1], ["-m", module], self._worker_beats)

    def _program(self, directory: Path, name: str, arguments: list[str], is_up: Callable[[Child], bool]) -> Program:
        command = [sys.executable, *arguments]
        record, log = directory / f"{name}.process.json", directory / f"{name}.log"
        child = Child(name, command, record, log, self.environment, CHECKOUT)
        return Program(child, lambda: is_up(child), self.environment)

    def _web_answers(self, _child: Child) -> bool:
        answer = probe.get(self.port, "/healthz")
        return answer is not None and answer[0] == 200

    def _worker_beats(self, child: Child) -> bool:
        """Whether this very process has given a sign of life."""
        with self.engine.connect() as connection:
            mine = text("SELECT EXISTS (SELECT FROM worker_heartbeats WHERE worker LIKE :mine)")
            return bool(connection.execute(mine, {"mine": f"%/{child.pid}/%"}).scalar_one())


@contextmanager
def without_postgres(postgres: Postgres, stack: Stack) -> Iterator[None]:
    """The run's server refuses connections meanwhile; afterwards it has the port that it had."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()
        # The tests' own connections are gone; the system finds that out by itself.
        stack.engine.dispose()


@contextmanager
def without_temporal(temporal: Temporal) -> Iterator[None]:
    """The run's server is killed as a crash would, and started again on what its file has."""
    temporal.kill()
    try:
        yield
    finally:
        temporal.start()
