"""Programs that need packages of their own: installed once, beside this project's environment, as their lock says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from bench.support.stack import CHECKOUT

INSTALLED = CHECKOUT / "build" / "peers"
INSTALLED_WITHIN_S = 300
# Replaces itself with another environment's Python: what the stack starts is this one's.
BECOME = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"


class NotInstalled(Exception):
    """What is compared with is missing here, and why."""


def python_with(name: str, requirements: Path) -> Path:
    """The Python of an environment that has these. Raises NotInstalled."""
    directory = INSTALLED / name
    python = directory / "bin" / "python"

    def install() -> None:
        _run([sys.executable, "-m", "venv", "--clear", str(directory)])
        quietly = ["--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
        _run([str(python), "-m", "pip", "install", *quietly, "--requirement", str(requirements)])

    _once(directory, requirements, install)
    return python


def node_modules_with(name: str, package: Path) -> Path:
    """The node_modules of a folder that has what `package` (a folder with a lock) names. Raises NotInstalled."""
    if shutil.which("npm") is None:
        raise NotInstalled("npm is missing")
    directory = INSTALLED / name

    def install() -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(package / file, directory / file)
        _run(["npm", "ci", "--prefix", str(directory), "--loglevel=error"])

    _once(directory, package / "package-lock.json", install)
    return directory / "node_modules"


def _once(directory: Path, lock: Path, install: Callable[[], None]) -> None:
    mark, wanted = directory / ".installed", sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    install()
    mark.write_text(wanted)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, timeout=INSTALLED_WITHIN_S, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise NotInstalled(error.stderr.decode(errors="replace").strip()[-300:]) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(str(error)) from error
