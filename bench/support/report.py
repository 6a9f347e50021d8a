"""The measurements as text: the same tables on the terminal and in bench/results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from support import measures
from support.measures import Ratio, Series
from support.rounds import Rounds

COLUMNS = ("way: load", "clients", "p50 ms", "p99 ms", "items/s", "measured", "refused", "KB each", "load's core")


def every_series(rounds: Rounds) -> Iterator[Series]:
    for pair in rounds.pairs:
        if pair.other:
            yield pair.other.series
        yield pair.ours.series
    for way in rounds.seed.values():
        yield way.series


def ratios(rounds: Rounds) -> list[Ratio]:
    found = []
    for pairs, hot in ((rounds.spread, False), (rounds.hot, True)):
        for pair in pairs.values():
            assert pair.other
            found += measures.beside_floor(pair.name, pair.ours.series, pair.other.series, hot=hot)
    for clients, pair in rounds.full.items():
        floor = rounds.spread[clients].other
        assert floor
        value = measures.ratio(pair.ours.series, floor.series, measures.p50)
        found.append(Ratio(f"{pair.name}: p50", value, None))
    batch = rounds.batch
    assert batch.other
    found.append(Ratio(f"{batch.name}: p50", measures.ratio(batch.ours.series, batch.other.series, measures.p50), None))
    hottest, seed = rounds.hot[16], rounds.seed[16].series
    assert hottest.other
    found.append(measures.beside_seed(f"{hottest.name}, the floor", hottest.other.series, seed, aim=None))
    found.append(measures.beside_seed(hottest.name, hottest.ours.series, seed))
    return found


def series_table(every: Iterable[Series]) -> str:
    return _table([COLUMNS, *(_row(series) for series in every)])


def ratios_table(found: Iterable[Ratio]) -> str:
    rows = [(one.what, f"{one.value:.2f}x", one.wanted, one.verdict) for one in found]
    return _table([("ratio", "measured", "wanted", "verdict"), *rows])


def write(directory: Path, tables: Sequence[str], place: Mapping[str, str]) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / f"{datetime.now(UTC):%Y-%m-%d}-add_line_item.md"
    where = "\n".join(f"- {name}: {text}" for name, text in place.items())
    file.write_text("\n\n".join(["# Adding a line item, measured", *tables, "## Where and how", where]) + "\n")
    return file


def _row(series: Series) -> tuple[str, ...]:
    latencies = series.latencies_ms
    size = sum(sample.answer_bytes for sample in series.rounds)
    return (
        series.name,
        str(series.clients),
        f"{measures.percentile(latencies, 50):.2f}",
        f"{measures.percentile(latencies, 99):.1f}",
        f"{series.per_second:,.0f}" if series.per_second >= 100 else f"{series.per_second:.1f}",
        f"{len(latencies):,}",
        str(series.refused),
        f"{size / max(len(latencies), 1) / 1000:.1f}",
        f"{max(sample.cpu_share for sample in series.rounds):.0%}",
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown that also reads well as it is: figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = [f"{'-' * (width - 1)}{'-' if n == 0 else ':'}" for n, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(_cells(row, widths))} |" for row in (rows[0], rule, *rows[1:]))


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if n else cell.ljust(width)
