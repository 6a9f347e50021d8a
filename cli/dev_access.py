"""A first way in for whoever ran bin/dev: a user of the staff and an API key, kept in DATA_DIR."""

import json
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded import probe
from embedded.files import read_if_there, write_private

FILE = "credentials.json"
EMAIL = "admin@example.com"

Pave = Callable[..., subprocess.CompletedProcess[str]]
"""Runs `pave` with these arguments, and `text` as its standard input."""


@dataclass(frozen=True)
class Access:
    email: str
    password: str
    api_key: str
    test_key: str = ""


def ensure_access(data_dir: Path, port: int, pave: Pave) -> Access:
    """What was kept, while its key opens the door: with another database it no longer does."""
    kept = _read(data_dir / FILE)
    is_good = kept is not None and _accepts(port, kept.api_key)
    if kept and is_good and kept.test_key:
        return kept
    access = kept if kept and is_good else Access(*_create_user(kept, pave), _create_key(pave))
    access = replace(access, test_key=_create_key(pave, "--test"))
    write_private(data_dir / FILE, json.dumps(asdict(access), indent=2))
    return access


def first_curl(url: str, api_key: str) -> str:
    """A bill for the coming 30 days."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    instants = [f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in (start, start + timedelta(days=30))]
    body = json.dumps({"customer_id": "hung", "period_start": instants[0], "period_end": instants[1]})
    return "\n".join([
        f"curl -s {url}/api/v1/bills \\",
        f"  -H 'Authorization: Bearer {api_key}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{body}'",
    ])  # fmt: skip


def _create_key(pave: Pave, *more: str) -> str:
    return _must(pave("api-keys", "create", "--name", "dev", "--role", "operator", *more)).stdout.strip()


def _create_user(kept: Access | None, pave: Pave) -> tuple[str, str]:
    email = kept.email if kept else EMAIL
    password = kept.password if kept else secrets.token_urlsafe(12)
    created = _create(email, password, pave)
    if created.returncode and not kept:
        # Someone has the name, with a password that nobody kept.
        email = f"admin-{secrets.token_hex(3)}@example.com"
        _must(_create(email, password, pave))
    return email, password


def _create(email: str, password: str, pave: Pave) -> subprocess.CompletedProcess[str]:
    return pave("users", "create", "--email", email, "--role", "admin", text=password + "\n")


def _must(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    if done.returncode:
        command = " ".join(done.args[1:])
        raise RuntimeError(f"`pave {command}` ended with {done.returncode}:\n{done.stderr.strip()}")
    return done


def _accepts(port: int, api_key: str) -> bool:
    headers = {"Authorization": f"Bearer {api_key}"}
    answer = probe.get(port, "/api/v1/bills?limit=1", headers=headers)
    return answer is not None and answer[0] not in (401, 403)


def _read(file: Path) -> Access | None:
    try:
        return Access(**json.loads(read_if_there(file) or "null"))
    except (TypeError, ValueError):
        return None
