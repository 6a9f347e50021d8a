"""Takes each guard out, in a copy of the project, and shows that its test fails without it.

bin/guards                  # all of them, some minutes
bin/guards cookie "bound key"    # those with one of these words in their name
bin/guards --record         # writes the result to tests/guards/results
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.support.report import table
from tests.doors.record import record
from tests.guards.known import GUARDS, Guard

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results")
LIMIT_S = 180
LIMIT_OF_ALL_S = 1_200
FAILED = re.compile(r"\b\d+ failed\b")


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parsed(arguments)
    chosen = [guard for guard in GUARDS if not asked.words or any(word in guard.name for word in asked.words)]
    with tempfile.TemporaryDirectory(prefix="pave-billing-guards-") as directory:
        copy = Path(directory) / "project"
        _copy_to(copy)
        began = time.monotonic()
        if not _all_pass(copy, chosen):
            return 1
        took_s = {guard: _is_missed_after(copy, guard) for guard in chosen}
    not_missed = [guard for guard, s in took_s.items() if s is None]
    sentence = f"{len(chosen) - len(not_missed)} of {len(chosen)} guards are missed by their test"
    print(f"{sentence}, in {time.monotonic() - began:.0f} s")
    for guard in not_missed:
        print(f"NOT MISSED: {guard.name}")
    if asked.record:
        facts = {"command": "`bin/guards --record`", "result": sentence}
        print(f"recorded in {record('', 'Guards, taken out', facts, _table(took_s), directory=RESULTS)}")
    return 1 if not_missed or not chosen else 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/guards", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="those with one of these words in their name (all)")
    parser.add_argument("--record", action="store_true", help="write the result to tests/guards/results")
    return parser.parse_args(arguments)


def _table(took_s: Mapping[Guard, float | None]) -> str:
    rows = [("without", "its test fails after", "test")]
    for guard, s in took_s.items():
        after = "IT DOESN'T" if s is None else f"{s:.0f} s"
        rows.append((guard.name, after, f"`{guard.test.removeprefix('tests/')}`"))
    return table(rows)


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


def _is_missed_after(copy: Path, guard: Guard) -> float | None:
    """Seconds until its test has failed without it; None when it doesn't."""
    began = time.monotonic()
    file = copy / guard.file
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(before.replace(guard.old, guard.new), encoding="utf-8")
        done = _tested(copy, guard.test)
    finally:
        file.write_text(before, encoding="utf-8")
    is_missed = done.returncode == 1 and FAILED.search(done.stdout) is not None
    word, took_s = "missed" if is_missed else "NOT MISSED", time.monotonic() - began
    print(f"{word:10} {took_s:4.0f} s  {guard.name}", flush=True)
    if not is_missed:
        print("\n".join(done.stdout.splitlines()[-15:]), flush=True)
    return took_s if is_missed else None


def _tested(copy: Path, tests: str, limit_s: int = LIMIT_S) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(tests)]
    try:
        return subprocess.run(
            command, cwd=copy, capture_output=True, text=True, check=False, timeout=limit_s, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, f"not done within {limit_s} s", "")


if __name__ == "__main__":
    sys.exit(main())
