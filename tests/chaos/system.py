"""The system under fault: a PostgreSQL, a Temporal, web and worker of its own, in a directory of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from embedded import errand, process_table
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.chaos.schedule import POSTGRES, TEMPORAL, WEB, WEB_PROCESS, WORKER, Strike
from tests.support.stack import CHECKOUT, READY_WITHIN_S, Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

WEB_PROCESSES = 2


class System:
    """To be used by one thread, which is the one that its processes are tied to."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._ending = ExitStack()
        self.keep = False
        self._unforeseen = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def strike(self, strike: Strike) -> float:
        """Kills, waits, starts again; answers when the last of them was started, by the monotonic clock."""
        for number, target in enumerate(strike.targets):
            if number:
                time.sleep(strike.stagger_s)
            self._kill(target, strike.pick)
        time.sleep(strike.down_s)
        if WEB in strike.targets:
            # A log that has grown large is put aside when web is started again, and gone the time after.
            self._unforeseen = self.unforeseen
        began = time.monotonic()
        for target in strike.restarts:
            self._launch(target)
        return began

    def wait_until_up(self, strike: Strike) -> None:
        """All that was struck, PostgreSQL first: the worker's sign of life is a row."""
        order = (POSTGRES, TEMPORAL, WEB, WEB_PROCESS, WORKER)
        for target in sorted(strike.restarts, key=order.index):
            {
                POSTGRES: self.postgres.wait_until_ready,
                TEMPORAL: self.temporal.wait_until_ready,
                WEB: self.stack.web.wait_until_up,
                WEB_PROCESS: self._wait_for_web_processes,
                WORKER: self._wait_for_worker,
            }[target]()

    @property
    def unforeseen(self) -> str:
        """From web's log: the first failure that nobody had foreseen."""
        return self._unforeseen or self.stack.web.unforeseen

    def _kill(self, target: str, pick: float) -> None:
        if target == WEB_PROCESS:
            processes = self._web_processes()
            if processes:
                process_table.kill_all([processes[int(pick * len(processes))]])
            return
        kills: dict[str, Callable[[], None]] = {
            WEB: self.stack.web.kill,
            WORKER: self.stack.worker.kill,
            TEMPORAL: self.temporal.kill,
            POSTGRES: self.postgres.kill,
        }
        kills[target]()

    def _launch(self, target: str) -> None:
        launches: dict[str, Callable[[], None]] = {
            WEB: self.stack.web.launch,
            WORKER: self.stack.worker.launch,
            TEMPORAL: self.temporal.launch,
            POSTGRES: self.postgres.launch,
            # Its parent starts another.
            WEB_PROCESS: lambda: None,
        }
        launches[target]()

    def _web_processes(self) -> list[process_table.Identity]:
        pid = self.stack.web.child.pid
        return process_table.children(pid) if pid is not None else []

    def _wait_for_web_processes(self) -> None:
        self._wait(lambda: len(self._web_processes()) >= WEB_PROCESSES, "the web's processes")
        self.stack.web.wait_until_up()

    def _wait_for_worker(self) -> None:
        def beats() -> bool:
            try:
                return self.stack.worker.is_up()
            except SQLAlchemyError:
                return False

        self._wait(beats, "the worker")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come back within {READY_WITHIN_S} s")
            time.sleep(0.05)

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pave-billing-chaos-", dir=self._parent))
        # PostgreSQL's user, should root run this, must pass through.
        self.directory.chmod(0o711)
        self._ending.callback(self._remove_directory)
        self.postgres, self.temporal = Postgres(self.directory), Temporal(self.directory)
        for server in (self.postgres, self.temporal):
            self._ending.callback(server.stop)
            server.launch()
        self.postgres.wait_until_ready()
        self.temporal.wait_until_ready()
        url = self.postgres.url()
        self.stack = Stack(self.directory / f"stack-{uuid4().hex[:8]}", url, self.temporal)
        self._ending.enter_context(self.stack)
        self._migrate(url)
        self.api_key = api_keys.create(self.stack.engine, name="chaos", role=Role.OPERATOR)
        self.stack.start()

    def _migrate(self, url: str) -> None:
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        environment = {**self.stack.environment, "DATABASE_URL": url}
        done = errand.run(command, cwd=CHECKOUT, environment=environment, pause=time.sleep)
        if done.returncode:
            raise RuntimeError(f"the database could not be migrated:\n{done.stderr}")

    def _remove_directory(self) -> None:
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
