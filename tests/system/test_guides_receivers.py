"""The guide's receivers of webhooks are true: taken out of it, started, sent what we send and what somebody forged."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from billing.webhooks import new_secret, signed_headers
from tests.support.integrator import Integrator
from tests.support.stack import CHECKOUT, Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

SECTION = (CHECKOUT / "docs" / "api.md").read_text().partition("\n## Webhooks\n")[2].partition("\n## ")[0]
LOOPBACK = "127.0.0.1"
STARTS_WITHIN_S = 60
ARRIVES_WITHIN_S = 60
JAVASCRIPT = CHECKOUT / "tests" / "support" / "javascript"

# What the guide leaves to its reader.
PYTHON_OWN = """
had = set()
def remember_once(id):
    known = id in had
    had.add(id)
    return not known
def work_later(event):
    print("working on", event["id"], flush=True)
"""
JAVASCRIPT_OWN = """
const had = new Set();
const rememberOnce = (id) => !had.has(id) && had.add(id);
const workLater = (event) => console.log("working on", event.id);
"""


def snippet(language: str, secret: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    assert found.count('"whsec_..."') == 1
    return found.replace("whsec_...", secret)


def python(directory: Path, secret: str, port: int) -> list[str]:
    code = f"{PYTHON_OWN}\n{snippet('python', secret)}\napp.run(host={LOOPBACK!r}, port={port})\n"
    (directory / "receiver.py").write_text(code)
    return [sys.executable, "receiver.py"]


def javascript(directory: Path, secret: str, port: int) -> list[str]:
    code = f"{snippet('js', secret)}\n{JAVASCRIPT_OWN}\napp.listen({port}, '{LOOPBACK}');\n"
    (directory / "receiver.mjs").write_text(code)
    (directory / "node_modules").symlink_to(_node_modules())
    return ["node", "receiver.mjs"]


def _node_modules() -> Path:
    """What package-lock.json has, installed once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node with npm here")
    locked = (JAVASCRIPT / "package-lock.json").read_bytes()
    installed = CHECKOUT / "build" / f"javascript-{hashlib.sha256(locked).hexdigest()[:12]}"
    if not (installed / "done").exists():
        shutil.copytree(JAVASCRIPT, installed, dirs_exist_ok=True)
        command = ["npm", "ci", "--prefix", str(installed), "--loglevel=error"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install what the receiver needs: {done.stderr.strip()[-200:]}")
        (installed / "done").touch()
    return installed / "node_modules"


@contextmanager
def started(command: list[str], directory: Path, port: int) -> Iterator[Path]:
    """Where what it says goes."""
    said = directory / "said"
    with said.open("w") as out:
        child = subprocess.Popen(command, cwd=directory, stdout=out, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + STARTS_WITHIN_S
            while not _listens(port):
                assert child.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
            yield said
        finally:
            child.kill()
            child.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("written_in", [python, javascript])
def test_what_is_ours_is_taken_once_and_what_is_forged_refused(
    stack: Stack, tmp_path: Path, written_in: Callable[[Path, str, int], list[str]]
) -> None:
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    url = f"http://{LOOPBACK}:{port}/pave"
    admin = Integrator(stack.url, api_keys.create(stack.engine, name=uuid4().hex, role=Role.ADMIN))
    made = admin.post("/webhook-endpoints", {"url": url, "types": ["bill.created"]}).json()["data"]
    with started(written_in(tmp_path, made["secret"], port), tmp_path, port) as said:
        bill_id = admin.opened()
        arrived = delivered(admin, made["id"])
        assert (arrived["event_id"], arrived["status"]) == (f"evt_{bill_id}_1", "delivered")
        assert [attempt["status"] for attempt in arrived["attempts"]] == [204]
        assert said.read_text().count(f"working on evt_{bill_id}_1") == 1

        for refused in forged(made["secret"], f"evt_{bill_id}_9"):
            assert requests.post(url, **refused, timeout=20).status_code == 400
        assert "_9" not in said.read_text()
        for _ in range(2):
            ours = signed(made["secret"], f"evt_{bill_id}_9")
            assert requests.post(url, **ours, timeout=20).status_code == 204
        assert said.read_text().count("_9") == 1
    assert admin.get(f"/webhook-endpoints/{made['id']}").json()["data"]["status"] == "active"
    requests.delete(f"{admin.url}/webhook-endpoints/{made['id']}", headers=admin.headers, timeout=20)
    admin.close()


def delivered(admin: Integrator, endpoint_id: str) -> dict[str, Any]:
    """The one delivery, as soon as it isn't pending any more."""
    deadline = time.monotonic() + ARRIVES_WITHIN_S
    while True:
        found = admin.get(f"/webhook-endpoints/{endpoint_id}/deliveries").json()["data"]
        if found and found[0]["status"] != "pending":
            (one,) = found
            return dict(one)
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def signed(secret: str, event_id: str, at: datetime | None = None) -> dict[str, Any]:
    body = f'{{"id":"{event_id}"}}'.encode()
    headers = signed_headers(event_id, at or datetime.now(UTC), body, [secret])
    return {"data": body, "headers": {"content-type": "application/json", **headers}}


def forged(secret: str, event_id: str) -> Iterator[dict[str, Any]]:
    """With another secret, with other contents, under another id, of an hour ago, and not signed at all."""
    yield signed(new_secret(), event_id)
    ours = signed(secret, event_id)
    yield {**ours, "data": ours["data"].replace(b"}", b',"more":1}')}
    yield {**ours, "headers": {**ours["headers"], "webhook-id": "evt_another"}}
    yield signed(secret, event_id, datetime.now(UTC) - timedelta(hours=1))
    yield {"data": ours["data"], "headers": {"content-type": "application/json"}}
