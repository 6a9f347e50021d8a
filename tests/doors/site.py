"""The whole system in a directory of its own, with one of everything in it, for checks from outside; gone afterwards.

with Site() as site:
    site.url, site.names, site.admin_key, site.signed_in()
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Self

import requests

from embedded import errand
from embedded.child import Child
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.support.certificates import Authority
from tests.support.page import parse
from tests.support.stack import CHECKOUT, SECRET, Stack
from tests.support.visitor import PASSWORD
from tests.support.world import build
from webapp.identity import api_keys, user_changes
from webapp.identity.roles import Role

ADMIN = "admin@example.com"
ROWS = 200


class TlsStack(Stack):
    """`localhost` with a certificate of `authority`, and nothing at any port without TLS."""

    def __init__(
        self, directory: Path, database_url: str, temporal: Temporal, authority: Authority, **environment: str
    ) -> None:
        self.authority = authority
        super().__init__(directory, database_url, temporal, **environment)
        certificate = authority.certificate("localhost")
        own = {"PUBLIC_URL": self.url, "GUNICORN_CMD_ARGS": f"--certfile={certificate} --keyfile={certificate}"}
        self.environment.update(own)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def _web_answers(self, _child: Child) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=10, verify=str(self.authority.file)).ok
        except requests.ConnectionError:
            return False


class Site:
    """`names` are what addresses are filled with. Without `world` there is nothing in it."""

    def __init__(self, *, tls: bool = False, world: bool = True, worker: bool = False, **environment: str) -> None:
        self._tls, self._world, self._worker = tls, world, worker
        # No attempt is one too many here, and none goes to a receiver of a webhook that somebody made up.
        self._environment = {"API_RATE_LIMIT": "none", "WEBHOOK_RECEIVERS": "public", **environment}
        self._ending = ExitStack()
        self.names: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def url(self) -> str:
        return self.stack.url

    @cached_property
    def admin_key(self) -> str:
        return api_keys.create(self.stack.engine, name="from outside", role=Role.ADMIN)

    def signed_in(self) -> requests.Session:
        """Somebody who may do everything, in a session of their own."""
        browser = requests.Session()
        # Nor proxies or authorities that the environment names.
        browser.trust_env = False
        browser.verify = str(self.authority.file) if self._tls else True
        page = f"{self.url}/session/new"
        form = parse(browser.get(page, timeout=30).text).form("/session")
        # As browsers say it, and forms over TLS are asked for.
        browser.headers["Referer"] = page
        answer = browser.post(f"{self.url}/session", {**form, "email": ADMIN, "password": PASSWORD}, timeout=30)
        answer.raise_for_status()
        return browser

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pave-billing-doors-"))
        # PostgreSQL's user, should root run this, must pass through.
        self.directory.chmod(0o711)
        self._ending.callback(shutil.rmtree, self.directory, ignore_errors=True)
        postgres, temporal = Postgres(self.directory), Temporal(self.directory)
        for server in (postgres, temporal):
            self._ending.callback(server.stop)
            server.launch()
        postgres.wait_until_ready()
        temporal.wait_until_ready()
        self.stack = self._ending.enter_context(self._new_stack(postgres.url(), temporal))
        self._migrate(postgres.url())
        user_changes.create(self.stack.engine, email=ADMIN, password=PASSWORD, role=Role.ADMIN)
        if self._world:
            self.names = build(self.stack.engine, secret_key=SECRET, rows=ROWS)
        if self._worker:
            self.stack.start()
        else:
            self.stack.web.start()

    def _new_stack(self, database_url: str, temporal: Temporal) -> Stack:
        directory = self.directory / "stack"
        if self._tls:
            self.authority = Authority(self.directory)
            return TlsStack(directory, database_url, temporal, self.authority, **self._environment)
        return Stack(directory, database_url, temporal, **self._environment)

    def _migrate(self, database_url: str) -> None:
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        environment = {**self.stack.environment, "DATABASE_URL": database_url}
        done = errand.run(command, cwd=CHECKOUT, environment=environment, pause=time.sleep)
        if done.returncode:
            raise RuntimeError(f"the database could not be migrated:\n{done.stderr}")
