"""Everything from one command, each part embedded unless the environment names another."""

import argparse
import os
import secrets
import sys
import time
from pathlib import Path

from billing.ledger import revisions
from cli.dev_access import Access, ensure_access, first_curl
from embedded import errand, ports, probe, run_state
from embedded.child import Child
from embedded.files import read_if_there, write_private
from embedded.postgres import Postgres
from embedded.processes import AlreadyRunning, Program, Stopped, Supervisor, say
from embedded.temporal import Temporal

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
READY_SECONDS = 60
# How long the worker may take after the pages until that is worth a remark.
WORKER_SECONDS = 15

WORKER = [sys.executable, "-m", "workflows.worker"]
WORKER_METRICS = "WORKER_METRICS_PORT"

# What `pave` needs to be part of the same system, from run.json.
SHARED = (
    "DATABASE_URL",
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_API_KEY",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_CA_FILE",
    "TEMPORAL_TLS_CERT_FILE",
    "TEMPORAL_TLS_KEY_FILE",
    "OPENEXCHANGERATES_APP_ID",
    "OPENEXCHANGERATES_URL",
    "SECRET_KEY",
    "SUPPORTED_CURRENCIES",
    "PUBLIC_URL",
)


class CannotStart(Exception):
    """A sentence for whoever typed the command."""


def main() -> int:
    options = argparse.ArgumentParser(prog="bin/dev", description=__doc__)
    options.add_argument("--demo", action="store_true", help="add believable customers and bills")
    demo = options.parse_args().demo
    try:
        data_dir = _data_dir()
        with Supervisor(data_dir) as supervisor:
            Dev(supervisor, data_dir, _port()).run(demo=demo)
    except Stopped:
        say("Stopped.")
        return 0
    except AlreadyRunning as error:
        say(f"bin/dev already runs with DATA_DIR={error}: one beside it needs its own DATA_DIR and PORT.")
    except (CannotStart, RuntimeError, OSError) as error:
        say(f"bin/dev: {error}")
    return 1


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def _data_dir() -> Path:
    directory = Path(os.environ.get("DATA_DIR") or CHECKOUT / "var").expanduser().absolute()
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            # Root's PostgreSQL is run by another user, who must pass through. Secrets have 0600.
            directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise CannotStart(f"DATA_DIR={directory} can't be made: {error.strerror}.") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise CannotStart(f"DATA_DIR={directory} can't be written to by this user; choose another.")
    return directory


class Dev:
    def __init__(self, supervisor: Supervisor, data_dir: Path, port: int) -> None:
        self._supervisor = supervisor
        self._data_dir = data_dir
        self._port = port
        self._url = f"http://localhost:{port}"
        self._environment = self._basic_environment()
        self._of_the_second = self._second_metrics() if WORKER_METRICS in self._environment else {}
        self._temporal: Temporal | None = None

    def run(self, *, demo: bool) -> None:
        """Until it is stopped."""
        began = time.monotonic()
        run_state.remove(self._data_dir)
        web, worker = self._web(), self._worker()
        self._make_way(web, worker, self._second_worker())
        self._start_all(web, worker)
        access = ensure_access(self._data_dir, self._port, self._pave)
        self._tell_where()
        try:
            self._supervisor.keep_alive()
            if demo:
                self._add_demo()
            # Nobody waits for this one: bills go on closing with it while the other, killed, is being started again.
            self._supervisor.add(Program(self._second_worker()), stop_within=6.5)
            self._print_welcome(access, time.monotonic() - began)
            self._supervisor.run()
        finally:
            run_state.remove(self._data_dir)

    def _basic_environment(self) -> dict[str, str]:
        given = {key: value for key, value in os.environ.items() if value}
        defaults = {
            "TEMPORAL_NAMESPACE": "default",
            "PUBLIC_URL": self._url,
            "BIND_ADDRESS": ports.LOOPBACK,
            "GUNICORN_LOG_LEVEL": "warning",
            # A line for every request and round would bury what is printed here once.
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        if not given.get("PUBLIC_URL", "").startswith("https://"):
            defaults["WEBHOOK_RECEIVERS"] = "anywhere"
        if "SECRET_KEY" not in given:
            defaults["SECRET_KEY"] = self._kept_secret_key()
        return {**defaults, **given, "PORT": str(self._port), "DATA_DIR": str(self._data_dir)}

    def _second_metrics(self) -> dict[str, str]:
        """Two processes can't answer scrapers at one port."""
        kept = ports.kept_ports(self._data_dir / "worker-2.port.json", ("metrics",))
        return {WORKER_METRICS: str(kept["metrics"])}

    def _kept_secret_key(self) -> str:
        file = self._data_dir / "secret-key"
        if not read_if_there(file):
            write_private(file, secrets.token_urlsafe(48))
        return read_if_there(file)

    def _web(self) -> Child:
        serve = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "webapp.app:create_app()"]
        return self._child("web", [sys.executable, *serve], self._environment)

    def _worker(self) -> Child:
        return self._child("worker", WORKER, self._environment)

    def _second_worker(self) -> Child:
        """With the environment as it is by now."""
        return self._child("worker-2", WORKER, self._environment | self._of_the_second)

    def _child(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        record = self._data_dir / f"{name}.process.json"
        return Child(name, command, record=record, environment=environment, cwd=CHECKOUT)

    def _make_way(self, *children: Child) -> None:
        for child in children:
            child.end_leftover()
        if not ports.is_free(self._port, self._environment["BIND_ADDRESS"]):
            raise CannotStart(f"Port {self._port} is in use; choose another, as in PORT={self._port + 1} bin/dev")

    def _start_all(self, web: Child, worker: Child) -> None:
        """PostgreSQL and Temporal come up side by side; the pages as soon as there is a migrated database, without
        waiting for Temporal: they do without it for a while."""
        postgres = None
        if "DATABASE_URL" not in self._environment:
            postgres = Postgres(self._data_dir, tell=say)
            self._supervisor.add(postgres, stop_within=9.5)
        if "TEMPORAL_ADDRESS" not in self._environment:
            self._temporal = Temporal(self._data_dir, namespace=self._environment["TEMPORAL_NAMESPACE"])
            self._supervisor.add(self._temporal, stop_within=8)
            self._environment["TEMPORAL_ADDRESS"] = self._temporal.address
        if postgres:
            postgres.wait_until_ready(self._supervisor.pause)
            self._environment["DATABASE_URL"] = postgres.url()
        self._migrate()
        self._start_programs(web, worker)

    def _migrate(self) -> None:
        """Alembic takes a second to say that there is nothing to do; the database says so at once."""
        if self._applied() == revisions.newest():
            return
        done = self._run([sys.executable, "-m", "alembic", "upgrade", "head"])
        if done.returncode:
            raise CannotStart(f"the database could not be migrated:\n{done.stderr.strip()}")

    def _applied(self) -> frozenset[str] | None:
        """None when the database doesn't say: it may be new, or its URL in another driver's spelling."""
        import psycopg  # noqa: PLC0415 - loaded while the servers start

        try:
            with psycopg.connect(self._environment["DATABASE_URL"], connect_timeout=3) as connection:
                return frozenset(name for (name,) in connection.execute(revisions.APPLIED))
        except psycopg.Error:
            return None

    def _start_programs(self, web: Child, worker: Child) -> None:
        programs = Program(web), Program(worker)
        self._supervisor.add(programs[0], stop_within=5.5)
        if self._temporal:
            self._temporal.wait_until_ready(self._supervisor.pause)
        self._supervisor.add(programs[1], stop_within=6.5)
        began = time.monotonic()
        while not self._answers("/readyz?strict=1"):
            waited = time.monotonic() - began
            for program in programs:
                if not program.running:
                    raise CannotStart(f"{program.name} ended while it started; its last words are above.")
            if waited > WORKER_SECONDS and self._answers("/readyz"):
                say("The pages are ready; the worker or Temporal is not yet, see /readyz.")
                return
            if waited > READY_SECONDS:
                raise CannotStart(f"The pages were not ready within {READY_SECONDS} s.")
            self._supervisor.pause(0.05)

    def _answers(self, path: str) -> bool:
        answer = probe.get(self._port, path)
        return answer is not None and answer[0] == 200

    def _tell_where(self) -> None:
        shared = {name: self._environment[name] for name in SHARED if name in self._environment}
        ui_url = self._temporal.ui_url if self._temporal else None
        run_state.write(self._data_dir, url=self._url, temporal_ui_url=ui_url, environment=shared)

    def _add_demo(self) -> None:
        done = self._run([str(PROGRAMS / "pave"), "demo"], show=True)
        if done.returncode:
            say(f"`pave demo` ended with exit code {done.returncode}; everything else runs.")

    def _pave(self, *arguments: str, text: str = "") -> errand.Done:
        return self._run([str(PROGRAMS / "pave"), *arguments], text=text)

    def _run(self, command: list[str], *, text: str = "", show: bool = False) -> errand.Done:
        return errand.run(
            command,
            cwd=CHECKOUT,
            environment=self._environment,
            pause=self._supervisor.pause,
            text=text,
            show=show,
        )

    def _metrics(self) -> dict[str, str]:
        """Where figures for Prometheus are, if anybody asked for them."""
        there = self._environment.get("METRICS_ADDRESS", ports.LOOPBACK)
        found = {
            "Metrics": self._environment.get("METRICS_PORT"),
            "Worker's": self._environment.get(WORKER_METRICS),
            "Second's": self._of_the_second.get(WORKER_METRICS),
        }
        return {name: f"http://{there}:{port}/metrics" for name, port in found.items() if port}

    def _print_welcome(self, access: Access, seconds: float) -> None:
        lines = {
            "Pages": self._url,
            "Sign in": f"{access.email}  {access.password}",
            "API key": access.api_key,
            "Test key": access.test_key,
            "Temporal": self._temporal.ui_url if self._temporal else self._environment["TEMPORAL_ADDRESS"],
            "Data": str(self._data_dir),
            **self._metrics(),
        }
        say(f"\nPave Billing is ready after {seconds:.1f} s. Ctrl-C stops it.\n")
        for name, value in lines.items():
            say(f"  {name:<10}{value}")
        say(f"\nA first bill:\n\n{first_curl(self._url, access.api_key)}\n")


if __name__ == "__main__":
    sys.exit(main())
