"""What adding a line item costs beside the floor, one SQL insert and the seed's way. See bench/README.md.

    .venv/bin/python bench/add_line_item.py [--rounds 4] [--seconds 3] [--enforce]
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support import load, machine, measures, report
from support.batches import BatchCalls, PlainInserts
from support.bills import PlainBills, SystemBills
from support.measures import Ratio, Series
from support.seed import SeedBills
from support.stack import Stack

RESULTS = Path(__file__).with_name("results")
BILLS_OF_ONE_CLIENT = 64
BILLS_OF_A_CLIENT = 12
FULL_BILLS, FULL_ITEMS = 16, 150
BATCH, BATCHES = 1_000, 8
SETTLED_WITHIN_S = 60
BEHIND = """
    SELECT count(*) FROM bills b LEFT JOIN bill_workflows w ON w.bill_id = b.id
    WHERE coalesce(w.heard_version, 0) < b.version
"""

Measure = Callable[[], load.Sample]


@dataclass
class Pair:
    """Two ways under the same load; `aims` are judged when the second is the floor."""

    name: str
    ours: tuple[Series, Measure]
    other: tuple[Series, Measure] | None
    hot: bool = False
    judged: bool = True

    def measure(self, settle: Callable[[], None], *, ours_first: bool) -> None:
        for series, measured in self._ways() if ours_first else reversed(list(self._ways())):
            series.rounds.append(measured())
            if series is self.ours[0]:
                settle()

    def _ways(self) -> Iterator[tuple[Series, Measure]]:
        yield self.ours
        if self.other:
            yield self.other


class Bench:
    def __init__(self, stack: Stack, options: argparse.Namespace) -> None:
        self._stack = stack
        self._options = options
        self._system, self._plain, self._seed = SystemBills(stack), PlainBills(stack), SeedBills(stack)
        self._longest_settling_s = 0.0

    def run(self) -> tuple[list[Pair], list[Series], str]:
        pairs, seeds = [*self._pairs(), self._batches()], self._seeds()
        self._settle()
        for number in range(self._options.rounds):
            for pair in pairs:
                say(f"round {number + 1} of {self._options.rounds}: {pair.name}")
                pair.measure(self._settle, ours_first=bool(number % 2))
            if number < self._options.seed_rounds:
                self._measure_seed(seeds)
        return pairs, [series for series, _ in seeds], f"{self._longest_settling_s:.1f} s"

    def _pairs(self) -> list[Pair]:
        spread_1 = [self._system.opened(BILLS_OF_ONE_CLIENT)], [self._plain.opened(BILLS_OF_ONE_CLIENT)]
        spread_16 = (
            [self._system.opened(BILLS_OF_A_CLIENT) for _ in range(16)],
            [self._plain.opened(BILLS_OF_A_CLIENT) for _ in range(16)],
        )
        full = self._system.opened(FULL_BILLS)
        self._system.filled(full, FULL_ITEMS)
        return [
            self._spread(1, *spread_1),
            self._spread(16, *spread_16),
            self._hot(16),
            self._hot(64),
            self._full(1, full),
            self._full(16, full),
        ]

    def _spread(self, clients: int, ours: list[list[str]], plain: list[list[str]]) -> Pair:
        return Pair(
            f"different bills, {clients} clients",
            (Series("system, different bills", clients), self._web("system", clients, lambda: self._system.adding(ours))),
            (Series("floor, different bills", clients), self._web("floor", clients, lambda: self._plain.adding(plain))),
        )

    def _hot(self, clients: int) -> Pair:
        """A new bill each round, so that no round begins where another's left off."""
        return Pair(
            f"one bill, {clients} clients",
            (
                Series("system, one bill", clients),
                self._web("system", clients, lambda: self._system.adding([self._system.opened(1)] * clients)),
            ),
            (
                Series("floor, one bill", clients),
                self._web("floor", clients, lambda: self._plain.adding([self._plain.opened(1)] * clients)),
            ),
            hot=True,
        )

    def _full(self, clients: int, bills: list[str]) -> Pair:
        own = [[bill] for bill in bills]
        series = Series(f"system, bills of more than {FULL_ITEMS} items", clients)
        return Pair(series.name, (series, self._web("system", clients, lambda: self._system.adding(own))), None, judged=False)

    def _batches(self) -> Pair:
        calls, inserts = BatchCalls(self._stack, self._system), PlainInserts(self._stack, self._plain)
        return Pair(
            f"{BATCH:,} items in one call",
            (Series(f"system, {BATCH:,} items a call", 1), lambda: calls.measure(BATCH, BATCHES)),
            (Series(f"one SQL insert of {BATCH:,} rows", 1), lambda: inserts.measure(BATCH, BATCHES)),
            judged=False,
        )

    def _web(self, web: str, clients: int, asking: Callable[[], load.Ask]) -> Measure:
        return lambda: load.run(self._stack.ports[web], clients, asking(), self._options.seconds)

    def _seeds(self) -> list[tuple[Series, Measure]]:
        def measured(clients: int) -> Measure:
            seconds = self._options.seed_seconds
            return lambda: load.run(self._stack.ports["seed"], clients, self._seed.adding(clients), seconds)

        return [(Series("the seed's way, one bill", clients), measured(clients)) for clients in (1, 16)]

    def _measure_seed(self, seeds: list[tuple[Series, Measure]]) -> None:
        for series, measured in seeds:
            say(f"the seed's way, {series.clients} clients")
            series.rounds.append(measured())
            self._seed.settle()

    def _settle(self) -> None:
        """Waits until every workflow has heard of its bill: one round's signals must not run in the next."""
        began = time.monotonic()
        while self._stack.database.execute(BEHIND).fetchone() != (0,):
            if time.monotonic() - began > SETTLED_WITHIN_S:
                raise RuntimeError(f"workflows had not heard of their bills after {SETTLED_WITHIN_S} s")
            time.sleep(0.1)
        self._longest_settling_s = max(self._longest_settling_s, time.monotonic() - began)
        time.sleep(0.3)


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say("starting PostgreSQL, Temporal, the system, the floor and the seed's way")
    with Stack(options.data_dir) as stack:
        place = machine.described(stack.database, stack.directory, _web_settings(options))
        pairs, seeds, settling = Bench(stack, options).run()
    ratios = list(_judged(pairs, seeds))
    tables = [report.series_table(_series(pairs, seeds)), report.aims_table(ratios), _batch_sentence(pairs[-1])]
    notes = _notes(options, settling)
    print("\n" + "\n\n".join(tables) + "\n\n" + "\n".join(notes))
    file = report.write(RESULTS, tables, place, notes)
    print(f"\nWritten to {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    return int(options.enforce and not all(ratio.holds for ratio in ratios))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="each of all loads, interleaved")
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring, per load and round")
    parser.add_argument("--seed-rounds", type=int, default=2, help="of the seed's way")
    parser.add_argument("--seed-seconds", type=float, default=8.0, help="of the seed's way, per load and round")
    parser.add_argument("--data-dir", type=Path, help="where the data lies meanwhile, if not where temporary files do")
    parser.add_argument("--enforce", action="store_true", help="exit with 1 when an aim is missed")
    return parser.parse_args()
