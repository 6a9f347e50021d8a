"""The measurements as text: the same table on the terminal and in bench/results."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from support.measures import Ratio, Series


def series_table(every: Iterable[Series]) -> str:
    rows = [("way", "clients", "p50 ms", "p99 ms", "items/s", "measured", "refused", "KB an answer", "load's share of a core")]
    for series in every:
        answered = sum(sample.answered for sample in series.rounds)
        size = sum(sample.answer_bytes for sample in series.rounds) / max(answered, 1) / 1000
        share = max(sample.cpu_share for sample in series.rounds)
        rows.append((
            series.name,
            str(series.clients),
            f"{series.p50_ms:.2f}",
            f"{series.p99_ms:.1f}",
            f"{series.per_second:,.1f}",
            f"{len(series.latencies_ms):,}",
            str(sum(sample.refused for sample in series.rounds)),
            f"{size:.1f}",
            f"{share:.0%}",
        ))  # fmt: skip
    return table(rows)


def aims_table(ratios: Iterable[Ratio]) -> str:
    rows = [("aim", "wanted", "measured", "")]
    rows += [(r.aim, r.wanted, f"{r.value:.2f}x", "holds" if r.holds else "misses") for r in ratios]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown that also reads well as it is; figures to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(_cells(row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 2) if not n else "-" * (width + 1) + ":" for n, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True))]


def write(directory: Path, tables: Sequence[str], place: Mapping[str, str], notes: Sequence[str]) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / f"{datetime.now(UTC):%Y-%m-%d}-add_line_item.md"
    parts = ["# Adding a line item, measured", *tables, "## Where and how"]
    parts.append("\n".join(f"- {name}: {text}" for name, text in place.items()))
    parts.append("\n".join(f"- {note}" for note in notes))
    file.write_text("\n\n".join(parts) + "\n")
    return file
