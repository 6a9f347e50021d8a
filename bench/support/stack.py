"""What is measured, started on one machine: a PostgreSQL, a Temporal, web and worker; what it is compared with joins.

Each web is gunicorn with the project's settings. Everything ends with the `with`, by process id.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg

from billing.ledger.engines import create_engine
from embedded import errand, ports, probe
from embedded.child import Child
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from webapp.identity import api_keys
from webapp.identity.roles import Role

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60
SYSTEM = ("webapp.app:create_app()", "/readyz?strict=1")


class Stack:
    """`ports` are the webs' by name; `database` is an autocommitting connection to the system's database.

    `plain` is one to a second, migrated database, for what runs without the system: made when first asked for.
    """

    def __init__(self, parent: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._parent = parent
        self._more = dict(environment or {})
        self._ending = ExitStack()
        self._plain: psycopg.Connection | None = None
        self.children: dict[str, Child] = {}
        self.ports: dict[str, int] = {}
        self.urls: dict[str, str] = {}
        self.api_key = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.close()

    @property
    def plain(self) -> psycopg.Connection:
        if self._plain is None:
            self._plain = self.connect(self.new_database("plain"))
            self._plain.execute("CREATE SEQUENCE bench_positions CACHE 100")
        return self._plain

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def new_database(self, name: str, *, migrated: bool = True) -> str:
        """The URL of a database with all tables, or with none."""
        self.urls[name] = self._postgres.create_database(name)
        if migrated:
            self._migrate(self.urls[name])
        return self.urls[name]

    def connect(self, url: str) -> psycopg.Connection:
        connection = psycopg.connect(url, autocommit=True)
        self._ending.callback(connection.close)
        return connection

    def web(self, name: str, app: str, ready: str = "/healthz", environment: Mapping[str, str] | None = None) -> int:
        """The port of a gunicorn that serves `app`; returns once `ready` answers 200."""
        # A file for each: a port that is in use, by one of the others, would be chosen anew.
        self.ports |= ports.kept_ports(self.directory / f"{name}.port.json", (name,))
        more = {"PORT": str(self.ports[name]), **(environment or {})}
        child = self.program(name, ["-m", "gunicorn", "-c", "gunicorn.conf.py", app], more)
        deadline = time.monotonic() + READY_WITHIN_S
        while (answer := probe.get(self.ports[name], ready)) is None or answer[0] != 200:
            if time.monotonic() > deadline or not child.running:
                raise RuntimeError(f"{name} did not become ready:\n{self.log(name)[-3000:]}")
            time.sleep(0.05)
        return self.ports[name]

    def floor(self) -> int:
        """The port of the floor, on the plain database: bench/support/floor.py."""
        if "floor" not in self.ports:
            assert self.plain
            self.web("floor", "bench.support.floor:create_app()", environment={"DATABASE_URL": self.urls["plain"]})
        return self.ports["floor"]

    def seed(self) -> int:
        """The port of the seed's way, on the plain database: bench/support/seed_way.py."""
        if "seed" not in self.ports:
            assert self.plain
            there = {"DATABASE_URL": self.urls["plain"]}
            self.program("seed-worker", ["-m", "bench.support.seed_workflow"], there)
            self.web("seed", "bench.support.seed_way:create_app()", environment=there)
        return self.ports["seed"]

    def program(self, name: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> Child:
        """A Python program beside the others, with the system's environment and `environment`."""
        command = [sys.executable, *arguments]
        record, log = self.directory / f"{name}.process.json", self.directory / f"{name}.log"
        child = Child(name, command, record, log, {**self.environment, **(environment or {})}, CHECKOUT)
        self._ending.callback(child.stop)
        child.start()
        self.children[name] = child
        return child

    def api_key_of(self, url: str) -> str:
        """A new operator's key in that database."""
        engine = create_engine(url)
        try:
            return api_keys.create(engine, name="bench", role=Role.OPERATOR)
        finally:
            engine.dispose()

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pave-billing-bench-", dir=self._parent))
        # PostgreSQL's user, should root run this, must pass through.
        self.directory.chmod(0o711)
        self._ending.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._start_servers()
        self.urls["system"] = self._postgres.url()
        self.environment = {**self._common_environment(), "DATABASE_URL": self.urls["system"], **self._more}
        self._migrate(self.urls["system"])
        self.database = self.connect(self.urls["system"])
        self.api_key = self.api_key_of(self.urls["system"])
        self.program("worker", ["-m", "workflows.worker"])
        self.web("system", *SYSTEM)

    def _start_servers(self) -> None:
        self._postgres, self._temporal = Postgres(self.directory), Temporal(self.directory)
        for server in (self._postgres, self._temporal):
            self._ending.callback(server.stop)
            server.launch()
        self._postgres.wait_until_ready()
        self._temporal.wait_until_ready()

    def _common_environment(self) -> dict[str, str]:
        """As bin/dev has it: the number of processes and threads is gunicorn.conf.py's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "TEMPORAL_"))}
        return {
            **inherited,
            "TEMPORAL_ADDRESS": self._temporal.address,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "BIND_ADDRESS": ports.LOOPBACK,
            "GUNICORN_LOG_LEVEL": "warning",
        }

    def _migrate(self, url: str) -> None:
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        environment = {**self._common_environment(), "DATABASE_URL": url}
        done = errand.run(command, cwd=CHECKOUT, environment=environment, pause=time.sleep)
        if done.returncode:
            raise RuntimeError(f"the database could not be migrated:\n{done.stderr}")
