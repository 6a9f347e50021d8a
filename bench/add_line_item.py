"""What adding a line item costs beside the floor, one SQL insert and the seed's way; see bench/README.md.

.venv/bin/python bench/add_line_item.py [--rounds 4] [--seconds 3] [--enforce]
"""

import argparse
import signal
import sys
from pathlib import Path

from bench.support import machine, report
from bench.support.rounds import Plan, Rounds, say
from bench.support.stack import Stack

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = Plan(options.rounds, options.seconds, options.seed_rounds, options.seed_seconds)
    say("starting PostgreSQL, Temporal, the system, the floor and the seed's way")
    with Stack(options.data_dir) as stack:
        place = machine.described(stack)
        rounds = Rounds(stack, plan)
        rounds.run()
    place["rounds"] = (
        f"{plan}; workflows had heard of everything at most {rounds.longest_settling_s:.1f} s after a round"
    )
    ratios = report.ratios(rounds)
    tables = [report.series_table(report.every_series(rounds)), report.ratios_table(ratios)]
    print("\n" + "\n\n".join(tables) + "\n")
    say(f"written to {report.write(RESULTS, tables, place)}")
    return int(options.enforce and any(ratio.verdict == "misses" for ratio in ratios))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=_count, default=4, help="of all loads, interleaved")
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="measured per load and round")
    parser.add_argument("--seed-rounds", type=_count, default=2, help="of the seed's way")
    parser.add_argument(
        "--seed-seconds", type=_seconds, default=8.0, help="measured per load and round of the seed's way"
    )
    parser.add_argument("--data-dir", type=Path, help="under which the data lies meanwhile")
    parser.add_argument("--enforce", action="store_true", help="exit with 1 when an aim is missed")
    return parser.parse_args()


def _count(text: str) -> int:
    return min(max(int(text), 1), 50)


def _seconds(text: str) -> float:
    return min(max(float(text), 0.5), 60.0)


if __name__ == "__main__":
    sys.exit(main())
