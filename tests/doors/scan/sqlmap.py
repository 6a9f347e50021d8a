"""sqlmap on one request after the other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from tests.doors.scan.targets import Target

FOUND = re.compile(r"identified the following injection point|is vulnerable|appears to be .* injectable")
CLEAN = "all tested parameters do not appear to be injectable"
# To find a way in; UNION and inline queries are for getting much out by it.
TECHNIQUES = "BEST"
OPTIONS = (
    "--batch", f"--technique={TECHNIQUES}", "--dbms=PostgreSQL", "--level=1", "--risk=2", "--time-sec=2",
    "--timeout=30", "--retries=1", "--randomize=idempotency_key", "--drop-set-cookie", "--skip-waf",
    "--disable-coloring", "--flush-session", "--ignore-code=*",
)  # fmt: skip


class Outcome(StrEnum):
    CLEAN = "nothing found"
    FOUND = "FOUND"
    UNTRIED = "NOT TRIED TO THE END"


def tried(
    scanners: Path, directory: Path, target: Target, url: str, headers: Mapping[str, str], *, within_s: float
) -> tuple[Outcome, str]:
    """The outcome, with what sqlmap said. `directory` is its own."""
    directory.mkdir()
    scheme, _, host = url.partition("://")
    file = directory / "request.txt"
    file.write_bytes(target.raw(host, headers).encode())
    secure = ["--force-ssl"] if scheme == "https" else []
    command = [str(scanners / "sqlmap"), "-r", str(file), f"--output-dir={directory / 'out'}", *OPTIONS, *secure]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=within_s, check=False,
            env={"HOME": str(directory), "PATH": str(scanners)},
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return Outcome.UNTRIED, str(late)
    return outcome(done.stdout), done.stdout + done.stderr


def outcome(said: str) -> Outcome:
    if FOUND.search(said):
        return Outcome.FOUND
    return Outcome.CLEAN if CLEAN in said else Outcome.UNTRIED
