"""Temporal's development server, from its package, on free ports of this machine."""

import json
import os
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from embedded import probe
from embedded.child import Child
from embedded.files import last_lines
from embedded.ports import LOOPBACK, kept_ports

START_SECONDS = 30

# What BillWorkflow sets on itself: one that isn't registered would wedge it.
SEARCH_ATTRIBUTES = {"CustomerId": "Keyword", "BillStatus": "Keyword", "PeriodEnd": "Datetime"}


class Temporal:
    """State, ports and log stay in `data_dir`/temporal between runs. `extra_args` go to
    `temporal server start-dev` as they are."""

    name = "temporal"

    def __init__(self, data_dir: Path, *, namespace: str = "default", extra_args: Sequence[str] = ()) -> None:
        self.namespace = namespace
        self._home = data_dir / "temporal"
        self._extra_args = extra_args
        self._child: Child | None = None
        self._ports: dict[str, int] = {}
        # Once it has been ready others know its ports: from then on it is those or none.
        self._settled = False

    def start(self, pause: Callable[[float], None] = time.sleep) -> None:
        """Returns once it answers and knows the namespace and our search attributes."""
        self.launch(pause)
        self.wait_until_ready(pause)

    def launch(self, _pause: Callable[[float], None] = time.sleep) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        child = self._new_child()
        child.end_leftover()
        if not self._settled:
            self._ports = kept_ports(self._home / "ports.json", ("grpc", "ui", "http", "metrics"))
        child.command = self._command()
        child.start()
        self._child = child

    def wait_until_ready(self, pause: Callable[[float], None] = time.sleep) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.ready:
            if not self.running:
                raise RuntimeError(self._failure("Temporal ended while it started"))
            if time.monotonic() > deadline:
                raise RuntimeError(self._failure(f"Temporal was not ready within {START_SECONDS} s"))
            pause(0.05)
        self._settled = True

    @property
    def ready(self) -> bool:
        """Whether the namespace has our search attributes, which come last."""
        path = f"/cluster/namespaces/{self.namespace}/search-attributes"
        answer = probe.get(self._ports["http"], path, timeout=1)
        if answer is None or answer[0] != 200:
            return False
        known = json.loads(answer[1]).get("customAttributes", {})
        return self.running and SEARCH_ATTRIBUTES.keys() <= known.keys()

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
    def address(self) -> str:
        return f"{LOOPBACK}:{self._ports['grpc']}"

    @property
    def ui_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['ui']}"

    @property
    def log(self) -> Path:
        return self._home / "temporal.log"

    def ask_to_stop(self) -> None:
        if self._child:
            self._child.ask_to_stop()

    def stop(self, seconds: float = 5) -> None:
        """By itself it takes about 3 s. What it has acknowledged is in its file by then or earlier."""
        if self._child:
            self._child.stop(seconds)

    def kill(self) -> None:
        if self._child:
            self._child.kill()

    def _new_child(self) -> Child:
        # Variables meant for clients, TEMPORAL_ADDRESS and the like, are none of the server's.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
        return Child(
            self.name,
            [],
            record=self._home / "temporal.process.json",
            log=self.log,
            environment=environment,
            cwd=self._home,
        )

    def _command(self) -> list[str]:
        ports = self._ports
        command = [str(Path(sysconfig.get_path("scripts")) / "temporal"), "server", "start-dev"]
        command += ["--ip", LOOPBACK, "--port", str(ports["grpc"]), "--ui-port", str(ports["ui"])]
        command += ["--http-port", str(ports["http"]), "--metrics-port", str(ports["metrics"])]
        command += ["--namespace", self.namespace, "--ui-disable-news-fetch"]
        command += ["--db-filename", str(self._home / "temporal.sqlite")]
        # Several times faster, and still safe against the end of the process.
        command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        return [*command, *self._extra_args]

    def _failure(self, what: str) -> str:
        return f"{what}. The end of {self.log}:\n{last_lines(self.log)}"
