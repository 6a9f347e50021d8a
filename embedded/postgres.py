"""A PostgreSQL of our own, from the package's programs, on a free port of this machine."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded import process_table
from embedded.child import Child
from embedded.cluster import USER, NewCluster, password
from embedded.files import last_lines, read_if_there
from embedded.placement import Placement, place
from embedded.ports import LOOPBACK, kept_ports

DATABASE = "billing"
START_SECONDS = 30

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # Short statements only: compiling them takes longer than running them.
    "jit": "off",
}

# Reasons that pass by themselves while what an earlier, killed server left is still ending.
PASSING = ("lock file", "still in use", "Address already in use", "could not create any TCP/IP sockets")


class Postgres:
    """Data, password, port and log stay in `data_dir`/postgres between runs, or, for root, outside
    when PostgreSQL's user can't enter it; `tell` is given the sentence that says so.

    With `settings` fsync=off the directories aren't synced at their making either: for tests.
    """

    name = "postgres"

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._data_dir = data_dir
        self._settings = {**SETTINGS, **(settings or {})}
        self._tell = tell
        self._placement: Placement | None = None
        self._child: Child | None = None
        self._port = 0
        # Once it has been ready others know its port: from then on it is that one or none.
        self._settled = False

    def start(self, pause: Callable[[float], None] = time.sleep) -> None:
        """Returns once it takes connections and the database `billing` exists."""
        self.launch(pause)
        self.wait_until_ready(pause)

    def launch(self, pause: Callable[[float], None] = time.sleep) -> None:
        """Starts the server without waiting for it, after making its data if there is none."""
        if not self._place.data.exists():
            self._make_data(pause)
        self._child = self._new_child("postgres", [])
        self._child.end_leftover()
        self._end_orphan()
        if not self._settled:
            self._port = kept_ports(self.home / "port.json", ("postgres",))["postgres"]
        self._child.command = [str(self._place.programs / "postgres"), *self._options()]
        self._child.start()

    def wait_until_ready(self, pause: Callable[[float], None] = time.sleep) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.ready:
            if time.monotonic() > deadline:
                raise RuntimeError(self._failure(f"PostgreSQL was not ready within {START_SECONDS} s"))
            if not self.running:
                if not any(reason in last_lines(self.log, 4) for reason in PASSING):
                    raise RuntimeError(self._failure("PostgreSQL ended while it started"))
                pause(0.3)
                self.launch(pause)
            pause(0.02)
        self._ensure_database(DATABASE)
        self._settled = True

    @property
    def ready(self) -> bool:
        """As pg_ctl finds out: the eighth line of the server's lock file, once it is this server's."""
        lines = self._lock_file_lines()
        return self.running and len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code if self._child else None

    @property
    def home(self) -> Path:
        return self._place.home

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def port(self) -> int:
        return self._port

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{password(self.home)}@{LOOPBACK}:{self._port}/{database}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Its address. `template` must have no other connections."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Whoever is connected is thrown out."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def ask_to_stop(self) -> None:
        # Fast shutdown; SIGTERM would wait for every client to leave by itself.
        if self._child:
            self._child.ask_to_stop()

    def stop(self, seconds: float = 10) -> None:
        """Open transactions are rolled back."""
        self.ask_to_stop()
        if self._child and not self._child.wait(seconds):
            self.kill()
        if self._child:
            self._child.kill()

    def kill(self) -> None:
        """SIGKILL to the server and all its processes: what a crash of the machine leaves, less the
        loss of what was not yet on disk."""
        if self._child is None or self._child.pid is None:
            return
        # Each has a session of its own, so that the server's group doesn't hold them.
        backends = process_table.children(self._child.pid)
        self._child.kill()
        process_table.kill_all(backends)
        for backend in backends:
            backend.wait(2)

    @property
    def _place(self) -> Placement:
        if self._placement is None:
            self._placement = place(self._data_dir, self._tell)
        return self._placement

    def _options(self) -> list[str]:
        settings = {**self._settings, "port": str(self._port)}
        pairs = [f"{key}={value}" for key, value in settings.items()]
        return ["-D", str(self._place.data), *(word for pair in pairs for word in ("-c", pair))]

    def _new_child(self, name: str, command: list[str]) -> Child:
        return Child(
            name,
            command,
            record=self.home / f"{name}.process.json",
            log=self.log,
            # Nothing of ours: PG* variables would change what the server does.
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=Path("/"),
            account=self._place.account,
            stop_signal=signal.SIGINT,
        )

    def _make_data(self, pause: Callable[[float], None]) -> None:
        cluster = NewCluster(self._place, durable=self._settings.get("fsync") != "off")
        making = self._new_child("initdb", cluster.prepare())
        making.start()
        try:
            while making.running:
                pause(0.02)
        finally:
            making.kill()
            cluster.forget_password_file()
        if making.exit_code:
            raise RuntimeError(self._failure("PostgreSQL's data could not be made"))
        cluster.put_in_place()

    def _end_orphan(self) -> None:
        """A server on our data that no record names; and a lock whose number another process has now."""
        lines = self._lock_file_lines()
        process = process_table.identify(int(lines[0])) if lines and lines[0].isdigit() else None
        if process is None or self.running:
            return
        if str(self._place.data) in process_table.command_line(process.pid):
            process.signal(signal.SIGINT)
            process.wait(5)
            process.signal(signal.SIGKILL)
            process.wait(5)
        else:
            self._lock_file.unlink(missing_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self._place.data / "postmaster.pid"

    def _lock_file_lines(self) -> list[str]:
        return read_if_there(self._lock_file).splitlines()

    def _ensure_database(self, name: str) -> None:
        import psycopg  # noqa: PLC0415 - whoever only asks for the address needs no driver

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found is None:
            self.create_database(name)

    def _execute(self, statement: str) -> None:
        import psycopg  # noqa: PLC0415 - likewise

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _failure(self, what: str) -> str:
        return f"{what}. The end of {self.log}:\n{last_lines(self.log)}"
