"""`bin/bench`: every workload on a stack of its own, one table, exit 1 when a promise is broken (bench/README.md)."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from bench.support import machine, report
from bench.support.figures import Figure, Plan, Workload
from bench.support.stack import Stack

RESULTS = Path(__file__).with_name("results")
WORKLOADS = (
    "single_add",
    "hot_bill",
    "ingest",
    "long_bill",
    "large_tables",
    "bill_page",
    "live_pages",
    "peers",
    "cold_start",
    # The longest last.
    "month_end",
    "processes",
)


@click.command()
@click.option("--only", default=",".join(WORKLOADS), help="Names of workloads, separated by commas.")
@click.option("--quick", is_flag=True, help="A first impression, a minute or two a workload; writes no results.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Under which the data lies meanwhile.")
def main(only: str, quick: bool, data_dir: Path | None) -> None:
    """Measures, prints a table, and writes it to bench/results/<date>.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [name for name in WORKLOADS if name in only.split(",")]
    if unknown := set(only.split(",")) - set(WORKLOADS):
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    sections: list[report.Section] = []
    results = None if quick else report.new_file(RESULTS)
    for name in chosen:
        section, place = _measured(name, quick=quick, data_dir=data_dir)
        click.echo("\n" + report.section(section) + "\n")
        sections.append(section)
        if results is not None:
            # After each: a run that is cut off leaves what it has.
            report.write(results, sections, place, missing=chosen[len(sections) :])
            click.echo(f"written to {results}", err=True)
    broken = [
        f"{section.title}: {figure.what}" for section in sections for figure in section.figures if figure.is_broken
    ]
    for line in broken:
        click.echo(f"broken: {line}", err=True)
    # The SDK can abort at interpreter exit after all work is done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if broken else 0)


def _measured(name: str, *, quick: bool, data_dir: Path | None) -> tuple[report.Section, dict[str, str]]:
    workload = cast("Workload", importlib.import_module(f"bench.workloads.{name}"))
    click.echo(f"{workload.TITLE} ...", err=True)
    plan, began = Plan(quick=quick), time.monotonic()
    with Stack(data_dir) as stack:
        place = machine.described(stack)
        figures: Sequence[Figure] = workload.measure(stack, plan)
    return report.Section(workload.TITLE, figures, plan.notes, time.monotonic() - began), place


if __name__ == "__main__":
    main()
