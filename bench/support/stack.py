"""What is measured, started together on one machine: one PostgreSQL, one Temporal, three webs and two workers.

Each web is gunicorn with the project's settings. Everything ends with the `with`, by process id.
"""

import os
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg

from billing.ledger.database import create_engine
from embedded import errand, ports, probe
from embedded.child import Child
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from webapp.identity import api_keys
from webapp.identity.roles import Role

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60
WEBS = {
    "system": ("webapp.app:create_app()", "/readyz?strict=1"),
    "floor": ("bench.floor:create_app()", "/healthz"),
    "seed": ("bench.seed_way:create_app()", "/healthz"),
}
WORKERS = {"worker": "workflows.worker", "seed-worker": "bench.seed_workflow"}


class Stack:
    """`ports` are the webs'; `database` is an autocommitting connection to the system's, `plain` to the floor's."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._ending = ExitStack()
        self._children: dict[str, Child] = {}
        self.ports: dict[str, int] = {}
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

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pave-billing-bench-", dir=self._parent))
        # PostgreSQL's user, should root run this, must pass through.
        self.directory.chmod(0o711)
        self._ending.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._start_servers()
        system_url, plain_url = self._postgres.url(), self._postgres.create_database("plain")
        self._environment = self._common_environment()
        for url in (system_url, plain_url):
            self._migrate(url)
        self.database = self._connect(system_url)
        self.plain = self._connect(plain_url)
        self.plain.execute("CREATE SEQUENCE bench_positions CACHE 100")
        self._start_programs({"system": system_url, "floor": plain_url, "seed": plain_url})
        engine = create_engine(system_url)
        self.api_key = api_keys.create(engine, name="bench", role=Role.OPERATOR)
        engine.dispose()

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
        environment = {**self._environment, "DATABASE_URL": url}
        done = errand.run(command, cwd=CHECKOUT, environment=environment, pause=time.sleep)
        if done.returncode:
            raise RuntimeError(f"the database could not be migrated:\n{done.stderr}")

    def _connect(self, url: str) -> psycopg.Connection:
        connection = psycopg.connect(url, autocommit=True)
        self._ending.callback(connection.close)
        return connection

    def _start_programs(self, urls: dict[str, str]) -> None:
        self.ports = ports.kept_ports(self.directory / "ports.json", tuple(WEBS))
        for name, module in WORKERS.items():
            url = urls["system" if name == "worker" else "seed"]
            self._start_child(name, ["-m", module], {"DATABASE_URL": url})
        for name, (app, _) in WEBS.items():
            port = str(self.ports[name])
            serve = ["-m", "gunicorn", "-c", "gunicorn.conf.py", app]
            self._start_child(name, serve, {"DATABASE_URL": urls[name], "PORT": port})
        deadline = time.monotonic() + READY_WITHIN_S
        for name, (_, path) in WEBS.items():
            while (answer := probe.get(self.ports[name], path)) is None or answer[0] != 200:
                if time.monotonic() > deadline or not self._children[name].running:
                    raise RuntimeError(f"{name} did not become ready:\n{self.log(name)[-3000:]}")
                time.sleep(0.1)

    def _start_child(self, name: str, arguments: list[str], more: dict[str, str]) -> None:
        command = [sys.executable, *arguments]
        record, log = self.directory / f"{name}.process.json", self.directory / f"{name}.log"
        child = Child(name, command, record, log, {**self._environment, **more}, CHECKOUT)
        self._ending.callback(child.stop)
        child.start()
        self._children[name] = child
