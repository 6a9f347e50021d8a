"""The measurements as text: the same tables on the terminal and in bench/results."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.support.figures import Figure

COLUMNS = ("figure", "measured", "compared with", "its figure", "ratio", "aim", "verdict")
RIGHT = {1, 3, 4}


@dataclass(frozen=True)
class Section:
    title: str
    figures: Sequence[Figure]
    notes: Sequence[str]
    took_s: float


def section(found: Section) -> str:
    rows = [COLUMNS, *(_row(figure) for figure in found.figures)]
    notes = "".join(f"\n- {note}" for note in found.notes)
    return f"## {found.title}\n\n{table(rows)}\n{notes}".rstrip()


def new_file(directory: Path) -> Path:
    """For the results of a run that begins now: never an earlier one."""
    directory.mkdir(exist_ok=True)
    began = datetime.now(UTC)
    file = directory / f"{began:%Y-%m-%d}.md"
    return directory / f"{began:%Y-%m-%d-%H%M}.md" if file.exists() else file


def write(file: Path, sections: Sequence[Section], place: Mapping[str, str], *, missing: Sequence[str]) -> None:
    """`missing`: the workloads that are still to come."""
    took = ", ".join(f"{one.title.split(':')[0]} {one.took_s:.0f} s" for one in sections)
    where = {"commit": _commit(), **place, "time": took}
    if missing:
        where["not measured"] = ", ".join(missing)
    lines = "\n".join(f"- {name}: {text}" for name, text in where.items())
    parts = ["# Measurements", *map(section, sections), f"## Where and how\n\n{lines}"]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown that also reads well as it is: figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = [f"{'-' * (width - 1)}{':' if n in RIGHT else '-'}" for n, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(_cells(row, widths))} |" for row in (rows[0], rule, *rows[1:]))


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if n in RIGHT else cell.ljust(width)


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.what,
        _amount(figure.value, figure.unit),
        figure.against,
        "" if figure.base is None else _amount(figure.base, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        "" if figure.aim is None else str(figure.aim),
        figure.verdict,
    )


def _amount(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _commit() -> str:
    """As `git` says it; of a tree with changes, that too."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
