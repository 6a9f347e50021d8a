"""Kills the system's processes under load and looks whether everybody still agrees; races closes against adds.

bin/chaos --seed 7
bin/chaos --kills 200 --items 50000 --races 2000
bin/chaos --kills 0 --races 2000 --record
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from tests.chaos import report
from tests.chaos.decisions import WINDOW, Plan
from tests.chaos.kills import CLIENTS, Run
from tests.chaos.races import raced
from tests.chaos.record import Record
from tests.chaos.report import Report
from tests.chaos.system import System

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RECORDED_FROM_KILLS = 100
ITEMS_A_BILL = 50
MOST_BILLS = 300


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parsed(arguments)
    for number in STOPS:
        signal.signal(number, _stop)
    print(f"seed {asked.seed}: bin/chaos {_command(asked)}", flush=True)
    with System() as system:
        print(f"the record and all logs are in {system.directory}", flush=True)
        try:
            for one in _reports(system, asked):
                system.keep = system.keep or one.failed
                _tell(one, asked)
            if system.keep:
                print(f"seed {asked.seed}: there are differences. Kept: {system.directory}")
                print(f"the same schedule again: bin/chaos {_command(asked)}", flush=True)
        except Exception:
            system.keep = True
            print(f"seed {asked.seed}: the run broke off. Kept: {system.directory}", flush=True)
            raise
        finally:
            # What follows is not interrupted half-way: it ends all processes.
            for number in STOPS:
                signal.signal(number, signal.SIG_IGN)
    return int(system.keep)


def _reports(system: System, asked: argparse.Namespace) -> Iterator[Report]:
    """One after the other: what breaks the second off leaves the first."""
    if asked.kills:
        plan = Plan(asked.seed, asked.items, asked.bills, CLIENTS)
        with Record(system.directory / "record.jsonl") as record:
            yield _killed(system, plan, asked, record)
    if asked.races:
        yield raced(system, asked.races, asked.seed)


def _killed(system: System, plan: Plan, asked: argparse.Namespace, record: Record) -> Report:
    run = Run(system, plan, asked.kills, record)
    try:
        return run.report(f"{asked.kills} kills, {asked.items:,} items, seed {asked.seed}")
    finally:
        run.stop()


def _tell(one: Report, asked: argparse.Namespace) -> None:
    one.facts["command"] = f"`bin/chaos {_command(asked)}`"
    print(f"\n{one.text}\n", flush=True)
    if asked.kills >= RECORDED_FROM_KILLS or asked.record:
        print(f"recorded in {report.record(one)}", flush=True)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=_count, default=20, help="how often something is killed (20)")
    parser.add_argument("--items", type=_count, default=2_000, help="line items that are asked for (2,000)")
    parser.add_argument("--bills", type=_count, default=0, help="bills they go to (one for each 50 items, 300 at most)")
    parser.add_argument(
        "--races", type=_count, default=100, help="closes raced against adds, half of them over HTTP (100)"
    )
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of kills and decisions"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help=f"write the result to tests/chaos/results, as from {RECORDED_FROM_KILLS} kills on",
    )
    asked = parser.parse_args(arguments)
    asked.bills = max(asked.bills or min(asked.items // ITEMS_A_BILL, MOST_BILLS), WINDOW)
    return asked


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("from 0 to 1,000,000")
    return number


def _command(asked: argparse.Namespace) -> str:
    numbers = (f"--{name} {getattr(asked, name)}" for name in ("kills", "items", "bills", "races", "seed"))
    return " ".join(numbers)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
