"""Results of the long checks, in the repository with the commit that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.report import place

RESULTS = Path(__file__).with_name("results")


def record(name: str, title: str, facts: Mapping[str, str], text: str, *, directory: Path = RESULTS) -> Path:
    """The day's file, `name` in its own; a later run of the day replaces it."""
    directory.mkdir(exist_ok=True)
    file = directory / f"{datetime.now(UTC):%Y-%m-%d}{f'-{name}' if name else ''}.md"
    of_where = {key: value for key, value in place().items() if key != "memory of the harness"}
    listed = "\n".join(f"- {key}: {value}" for key, value in {**facts, **of_where}.items())
    file.write_text(f"# {title}\n\n{listed}\n\n{text}\n", encoding="utf-8")
    return file
