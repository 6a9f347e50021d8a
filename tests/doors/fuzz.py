"""Schemathesis for as long as one likes, on a system of its own: bin/fuzz."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.support.report import table
from tests.doors.record import record
from tests.doors.site import Site
from tests.support.fuzzing import REFUSED_WITHIN_S, Fuzzed, fuzz

MOST_MINUTES = 150
EXAMPLES = "40"


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parsed(arguments)
    print(f"seed {asked.seed}, {asked.minutes} minutes: bin/fuzz {asked.minutes} --seed {asked.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-fuzz-"))
    with Site(world=False, worker=True, WEBHOOK_RECEIVERS="anywhere") as site:
        found = fuzz(
            site.url, site.admin_key, directory, seed=str(asked.seed), examples=EXAMPLES, seconds=asked.minutes * 60
        )
        unforeseen = site.stack.web.unforeseen
    is_good = found.is_good and not found.failures and not found.slow and not unforeseen
    for name, fact in _facts(found).items():
        print(f"{name}: {fact}")
    print("\n".join(found.slow))
    if is_good:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"{found.output[-20_000:]}\n{unforeseen}\nKept: {directory}")
    if asked.record:
        facts = {"command": f"`bin/fuzz {asked.minutes} --seed {asked.seed} --record`", **_facts(found)}
        print(f"recorded in {record('fuzz', 'Schemathesis, long', facts, _answers(found))}")
    return int(not is_good)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/fuzz", description=__doc__)
    parser.add_argument("minutes", type=_minutes, nargs="?", default=10, help="how long (10)")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of all that is made up"
    )
    parser.add_argument("--record", action="store_true", help="write the result to tests/doors/results")
    return parser.parse_args(arguments)


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 1 <= minutes <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_MINUTES}")
    return minutes


def _facts(found: Fuzzed) -> Mapping[str, str]:
    return {
        "calls": f"{found.calls:,} in {found.took_s:.0f} s, to {len(found.operations)} operations",
        "answers of 5xx": str(found.failures),
        "all checks": "passed" if found.is_good else "NOT PASSED",
        "refusals": f"{found.refusals:,}, the slowest after {found.slowest_refusal_s * 1000:.0f} ms",
        f"refusals that took {REFUSED_WITHIN_S * 1000:.0f} ms or longer when nothing else was asked": str(
            len(found.slow)
        ),
        "links followed with success": f"{len(found.links)} of {found.declared_links}, {found.links.total():,} times",
    }


def _answers(found: Fuzzed) -> str:
    return table([("status", "answers"), *((str(status), f"{n:,}") for status, n in sorted(found.statuses.items()))])


if __name__ == "__main__":
    sys.exit(main())
