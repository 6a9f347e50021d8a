"""What a run came to, as tables on the terminal and in tests/chaos/results."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.support import report as tables
from tests.chaos.schedule import Strike
from tests.chaos.views import Differences

RESULTS = Path(__file__).parent / "results"
MOST_SENTENCES = 40


@dataclass(frozen=True, slots=True)
class Recovery:
    """`up_s`: until all that was killed ran again; `good_s`: until anybody got a good answer, from the restart on."""

    strike: Strike
    up_s: float
    good_s: float


@dataclass
class Report:
    title: str
    facts: dict[str, str] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: Differences = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.differences)

    @property
    def text(self) -> str:
        parts = [f"## {self.title}", *self._tables(), self._facts(), self._differences()]
        return "\n\n".join(part for part in parts if part)

    def _tables(self) -> Sequence[str]:
        return [
            *([_kills(self.recoveries)] if self.recoveries else []),
            *([_calls(self.outcomes)] if self.outcomes else []),
        ]

    def _facts(self) -> str:
        return "\n".join(f"- {name}: {text}" for name, text in self.facts.items())

    def _differences(self) -> str:
        count = sum(map(len, self.differences.values()))
        lines = [
            f"- {f'bill {bill_id}: ' if bill_id else ''}{sentence}"
            for bill_id, sentences in self.differences.items()
            for sentence in sentences
        ]
        told = "\n".join(lines[:MOST_SENTENCES])
        return f"**Differences: {count}**" + (f"\n\n{told}" if told else "")


def _kills(recoveries: Sequence[Recovery]) -> str:
    rows = [("killed", "times", "slowest until up", "slowest until a good answer")]
    for name in sorted({one.strike.name for one in recoveries}, key=lambda name: (name.count("+"), name)):
        mine = [one for one in recoveries if one.strike.name == name]
        rows.append((name, str(len(mine)), _longest(one.up_s for one in mine), _longest(one.good_s for one in mine)))
    total = (_longest(one.up_s for one in recoveries), _longest(one.good_s for one in recoveries))
    return tables.table([*rows, ("all", str(len(recoveries)), *total)])


def _longest(seconds: object) -> str:
    return f"{max(seconds):.2f} s"  # type: ignore[call-overload]


def _calls(outcomes: Mapping[tuple[str, str], int]) -> str:
    rows = [("call", "times", "answered")]
    return tables.table([*rows, *((do, f"{count:,}", word) for (do, word), count in sorted(outcomes.items()))])


def place() -> dict[str, str]:
    """Where and of what this was measured."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "commit": _commit(),
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"load at the end {load}",
        "memory of the harness": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most",
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return described.stdout.strip() or "unknown"


def record(report: Report) -> Path:
    """Appended to the day's file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.md"
    before = file.read_text(encoding="utf-8") if file.exists() else "# Faults\n"
    file.write_text(f"{before}\n{report.text}\n", encoding="utf-8")
    return file
