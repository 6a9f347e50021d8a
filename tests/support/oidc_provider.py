"""An OpenID Connect provider on this machine, in a process of its own; it knows whom it is told of."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from embedded import ports
from webapp.identity import oidc
from webapp.identity.oidc_settings import OidcSettings
from webapp.identity.roles import Role

READY_S = 60


@dataclass
class OidcProvider:
    issuer: str
    process: subprocess.Popen[bytes]

    @property
    def settings(self) -> OidcSettings:
        return OidcSettings(
            issuer=self.issuer,
            client_id="pave-billing",
            client_secret="known to both",
            name="Example Login",
            role_claim="groups",
            roles={"finance": Role.OPERATOR, "auditors": Role.VIEWER, "it": Role.ADMIN},
        )

    def knows(self, subject: str, **claims: object) -> None:
        """From now on it says this of somebody."""
        requests.put(f"{self.issuer}/users/{quote(subject)}", json=claims, timeout=30).raise_for_status()

    def signs_in(self, address: str, subject: str) -> str:
        """Where it sends the browser that came by this address, after its user has signed in there."""
        answer = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def denies(self, address: str) -> str:
        answer = requests.post(address, data={"action": "deny"}, allow_redirects=False, timeout=30)
        return answer.headers["Location"]


@contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    port = _free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        pytest.MonkeyPatch.context() as patched,
    ):
        # It answers, however long that takes on a busy machine.
        patched.setattr(oidc, "TIMEOUT_S", 60)
        provider = OidcProvider(f"http://127.0.0.1:{port}", process)
        try:
            _wait_for(provider)
            yield provider
        finally:
            process.kill()


def _wait_for(provider: OidcProvider) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            requests.get(f"{provider.issuer}/jwks", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the provider doesn't answer")


def _free_port() -> int:
    """One that no outgoing connection is given until the provider takes it."""
    with tempfile.TemporaryDirectory() as directory:
        return ports.kept_ports(Path(directory) / "port.json", ("provider",))["provider"]
