"""Takes each guard out, in a copy of the project, and shows that its test fails without it.

bin/guards                  # all of them, some minutes
bin/guards cookie "bound key"    # those with one of these words in their name
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.guards.known import GUARDS, Guard

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 180
LIMIT_OF_ALL_S = 1_200
FAILED = re.compile(r"\b\d+ failed\b")


def main(words: Sequence[str]) -> int:
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="pave-billing-guards-") as directory:
        copy = Path(directory) / "project"
        _copy_to(copy)
        began = time.monotonic()
        if not _all_pass(copy, chosen):
            return 1
        missed = [guard for guard in chosen if not _is_missed(copy, guard)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} guards are missed by their test, "
          f"in {time.monotonic() - began:.0f} s")  # fmt: skip
    for guard in missed:
        print(f"NOT MISSED: {guard.name}")
    return 1 if missed or not chosen else 0


def _copy_to(copy: Path) -> None:
    """What is in the working tree, and nothing that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)


def _all_pass(copy: Path, guards: Sequence[Guard]) -> bool:
    """With all guards in their places."""
    plain = dict.fromkeys(guard.test for guard in guards if " " not in guard.test)
    chosen_by_word = dict.fromkeys(guard.test for guard in guards if " " in guard.test)
    for tests in (" ".join(plain), *chosen_by_word):
        done = _tested(copy, tests, LIMIT_OF_ALL_S) if tests else None
        if done is not None and done.returncode != 0:
            print("\n".join(["Some of the tests fail with all guards in place:", *done.stdout.splitlines()[-20:]]))
            return False
    return True


def _is_missed(copy: Path, guard: Guard) -> bool:
    """Whether its test fails without it."""
    began = time.monotonic()
    file = copy / guard.file
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(before.replace(guard.old, guard.new), encoding="utf-8")
        done = _tested(copy, guard.test)
    finally:
        file.write_text(before, encoding="utf-8")
    is_missed = done.returncode == 1 and FAILED.search(done.stdout) is not None
    word = "missed" if is_missed else "NOT MISSED"
    print(f"{word:10} {time.monotonic() - began:4.0f} s  {guard.name}", flush=True)
    if not is_missed:
        print("\n".join(done.stdout.splitlines()[-15:]), flush=True)
    return is_missed


def _tested(copy: Path, tests: str, limit_s: int = LIMIT_S) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(tests)]
    try:
        return subprocess.run(
            command, cwd=copy, capture_output=True, text=True, check=False, timeout=limit_s, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, f"not done within {limit_s} s", "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
