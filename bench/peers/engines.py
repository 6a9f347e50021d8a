"""Each peer started on the run's own PostgreSQL, and how a bill is opened, filled, added to and closed there."""

from __future__ import annotations

import http.client
import itertools
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from bench.peers import ledger
from bench.support.bills import SystemBills, item
from bench.support.environments import BECOME, node_modules_with, python_with
from bench.support.load import LOOPBACK, Ask, post
from bench.support.stack import READY_WITHIN_S, Stack
from embedded import ports, probe

HERE = Path(__file__).parent
GUNICORN = ["-m", "gunicorn", "-c", "bench/peers/gunicorn.conf.py"]
CALL_WITHIN_S = 120


def call(port: int, path: str, body: object, method: str = "POST", headers: dict[str, str] | None = None) -> Any:
    """What a JSON call answers. Raises RuntimeError unless it is a success."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=CALL_WITHIN_S)
    try:
        kind = {} if body is None else {"Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {**kind, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= http.client.MULTIPLE_CHOICES:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:500]!r}")
    return json.loads(text) if text else None


@dataclass
class Engine(ABC):
    """`NAME` is what the report calls it; subclasses start themselves and say what their calls look like."""

    NAME: ClassVar[str]
    stack: Stack
    port: int = 0
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @abstractmethod
    def start(self) -> None:
        """Raises NotInstalled when its runtime is missing here."""

    def opened(self) -> str:
        return call(self.port, "/bills", {})["id"]

    @abstractmethod
    def filled(self, count: int) -> str:
        """A bill with so many items."""

    def path(self, bill: str) -> str:
        return f"/bills/{bill}/line-items"

    def item(self) -> dict[str, Any]:
        return item(next(self.numbers))

    def headers(self) -> str:
        return f"Idempotency-Key: {uuid.uuid4()}\r\n"

    def adding(self, bills: Sequence[Sequence[str]]) -> Ask:
        """Each client goes round its own bills."""
        rounds = [itertools.cycle(own) for own in bills]

        def ask(client: int) -> bytes:
            return post(self.path(next(rounds[client])), json.dumps(self.item()).encode(), self.headers())

        return ask

    def close(self, bill: str) -> None:
        """Returns once it is closed."""
        call(self.port, f"/bills/{bill}/close", {})


class Ours(Engine):
    NAME = "system"

    def start(self) -> None:
        self.port = self.stack.ports["system"]
        self._bills = SystemBills(self.stack)

    def opened(self) -> str:
        return self._bills.opened(1)[0]

    def filled(self, count: int) -> str:
        bill = self.opened()
        self._bills.filled([bill], count)
        return bill

    def path(self, bill: str) -> str:
        return f"/api/v1/bills/{bill}/line-items"

    def headers(self) -> str:
        return f"Authorization: Bearer {self.stack.api_key}\r\n{super().headers()}"

    def close(self, bill: str) -> None:
        closed = self._bills.call(f"/api/v1/bills/{bill}/close", {})
        if closed["status"] != "closed":
            raise RuntimeError(f"the bill is {closed['status']}")


class OnTables(Engine):
    """On the three tables of ledger.py, in a database of its own."""

    def prepare(self) -> str:
        """The database's URL."""
        url = self.stack.new_database(type(self).__name__.lower(), migrated=False)
        self.database: psycopg.Connection = self.stack.connect(url)
        self.database.execute(ledger.TABLES)
        return url

    def filled(self, count: int) -> str:
        bill = self.opened()
        ledger.fill(self.database, bill, count)
        return bill


class TemporalUpdate(OnTables):
    NAME = "Temporal update + activity"

    def start(self) -> None:
        environment = {"DATABASE_URL": self.prepare()}
        self.stack.program("peer-worker", ["-m", "bench.peers.temporal_update.workflow"], environment)
        self.port = _gunicorn(
            self.stack, "peer-temporal", None, "bench.peers.temporal_update.app:create_app()", environment
        )


class Dbos(OnTables):
    NAME = "DBOS"

    def start(self) -> None:
        python = python_with("dbos", HERE / "dbos" / "requirements.txt")
        environment = {
            "DATABASE_URL": self.prepare(),
            "DBOS_DATABASE_URL": self.stack.new_database("dbos_system", migrated=False),
        }
        self.port = _gunicorn(self.stack, "peer-dbos", python, "bench.peers.dbos.app:create_app()", environment)


class Restate(OnTables):
    NAME = "Restate"

    def start(self) -> None:
        python = python_with("restate", HERE / "restate" / "requirements.txt")
        modules = node_modules_with("restate-server", HERE / "restate")
        (server,) = modules.glob("@restatedev/restate-server-*/bin/restate-server")
        names = ("restate-ingress", "restate-admin", "restate-node", "restate-service")
        known = ports.kept_ports(self.stack.directory / "restate.json", names)
        self.port, admin, node, service = (known[name] for name in names)
        self.stack.program(
            "peer-restate-service",
            [
                "-c",
                BECOME,
                str(python),
                "-m",
                "hypercorn",
                "--workers",
                "2",
                "--bind",
                f"{LOOPBACK}:{service}",
                "bench.peers.restate.app:app",
            ],
            {"DATABASE_URL": self.prepare()},
        )
        self.stack.program("peer-restate", ["-c", BECOME, str(server), "--no-logo"], self._settings(admin, node))
        _ready(self.stack, "peer-restate", admin, "/health")
        _ready(self.stack, "peer-restate-service", service, "/health")
        call(admin, "/deployments", {"uri": f"http://{LOOPBACK}:{service}"})

    def _settings(self, admin: int, node: int) -> dict[str, str]:
        return {
            "RESTATE_BASE_DIR": str(self.stack.directory / "restate"),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_IP": LOOPBACK,
            "RESTATE_BIND_PORT": str(node),
            "RESTATE_ADVERTISED_HOST": LOOPBACK,
            "RESTATE_INGRESS__BIND_ADDRESS": f"{LOOPBACK}:{self.port}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"{LOOPBACK}:{admin}",
            "DO_NOT_TRACK": "1",
        }

    def opened(self) -> str:
        return ledger.open_bill(self.database)

    def path(self, bill: str) -> str:
        return f"/Bill/{bill}/add"

    def close(self, bill: str) -> None:
        connection_headers = {"Idempotency-Key": str(uuid.uuid4())}
        call(self.port, f"/Bill/{bill}/close", None, headers=connection_headers)


class Silver(Engine):
    """Its documents have one currency; no key, so that a repetition would charge twice."""

    NAME = "django-silver"

    def start(self) -> None:
        self._python = python_with("silver", HERE / "silver" / "requirements.txt")
        url = self.stack.new_database("silver", migrated=False)
        self._environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench.peers.silver.settings"}
        prepared = self.stack.program(
            "peer-silver-prepare",
            ["-c", BECOME, str(self._python), "-m", "bench.peers.silver.prepare"],
            self._environment,
        )
        if not prepared.wait(READY_WITHIN_S) or prepared.exit_code:
            raise RuntimeError(f"django-silver was not prepared:\n{self.stack.log('peer-silver-prepare')[-3000:]}")
        self.database = self.stack.connect(url)
        self.port = _gunicorn(
            self.stack,
            "peer-silver",
            self._python,
            "django.core.wsgi:get_wsgi_application()",
            self._environment,
            "/invoices/",
        )
        base = f"http://{LOOPBACK}:{self.port}"
        self._parties = {"provider": f"{base}/providers/1/", "customer": f"{base}/customers/1/"}

    def opened(self) -> str:
        invoice = call(self.port, "/invoices/", {**self._parties, "currency": "USD", "invoice_entries": []})
        return str(invoice["id"])

    def filled(self, count: int) -> str:
        bill = self.opened()
        self.database.execute(
            "INSERT INTO silver_documententry (description, quantity, unit_price, prorated, invoice_id)"
            " SELECT 'Fee ' || n, 6, 0.6, false, %s FROM generate_series(1, %s) n",
            [bill, count],
        )
        return bill

    def path(self, bill: str) -> str:
        return f"/invoices/{bill}/entries/"

    def item(self) -> dict[str, Any]:
        return {"description": f"Fee {next(self.numbers):09}", "quantity": "6", "unit_price": "0.6"}

    def close(self, bill: str) -> None:
        call(self.port, f"/invoices/{bill}/state/", {"state": "issued"}, method="PUT")


def _gunicorn(
    stack: Stack, name: str, python: Path | None, app: str, environment: dict[str, str], ready: str = "/healthz"
) -> int:
    """The port of a gunicorn with the project's processes and threads, of this Python or of the stack's."""
    port = ports.kept_ports(stack.directory / f"{name}.json", (name,))[name]
    before = ["-c", BECOME, str(python)] if python else []
    stack.program(name, [*before, *GUNICORN, app], {"PORT": str(port), **environment})
    _ready(stack, name, port, ready)
    return port


def _ready(stack: Stack, name: str, port: int, path: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while (answer := probe.get(port, path)) is None or answer[0] != http.client.OK:
        if time.monotonic() > deadline or not stack.children[name].running:
            raise RuntimeError(f"{name} did not become ready:\n{stack.log(name)[-3000:]}")
        time.sleep(0.1)


PEERS: tuple[Callable[[Stack], Engine], ...] = (TemporalUpdate, Dbos, Restate, Silver)
