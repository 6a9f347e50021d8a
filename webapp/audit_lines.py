"""The event log as lines of a file: CSV for spreadsheets, NDJSON for programs. Both have every column of every row.

The text of `data` is the stored one, and cells of CSV can be told from what was put in front of them: so both are read
back to the character, and `pave audit verify --export` makes again of them what is sealed.
"""

from __future__ import annotations

import csv as csv_files
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from billing.clock import rfc3339
from billing.ledger.audit_log import LoggedEvent
from billing.ledger.events import Event, LogPosition
from billing.origin import Actor, ActorKind
from webapp import csv_text

NDJSON = "application/x-ndjson"
COLUMNS = (
    "xid", "seq", "occurred_at", "type", "subject_type", "subject_id", "version", "actor_kind", "actor_id",
    "actor_name", "request_id", "data",
)  # fmt: skip
DATA = ', "data": '
Batches = Iterable[Iterable[LoggedEvent]]


def csv(batches: Batches) -> Iterator[str]:
    yield csv_text.BYTE_ORDER_MARK + csv_text.csv_lines([COLUMNS])
    for batch in batches:
        yield csv_text.csv_lines(_row(logged) for logged in batch)


def ndjson(batches: Batches) -> Iterator[str]:
    for batch in batches:
        yield "".join(map(_line, batch))


def _row(logged: LoggedEvent) -> tuple[str, ...]:
    fields = _fields(logged).values()
    return (*(str(value) if isinstance(value, int) else _cell(value) for value in fields), logged.data)


def _cell(text: str) -> str:
    """As `csv_text.text`, but so that the text can be told from it again: one that looks as if it had been changed by
    that gets an apostrophe more."""
    return f"'{text}" if text.startswith("'") and _text_in(text) != text else csv_text.text(text)


def _text_in(cell: str) -> str:
    bare = cell.lstrip("'")
    return cell[1:] if cell.startswith("'") and csv_text.text(bare) != bare else cell


def _line(logged: LoggedEvent) -> str:
    fields = json.dumps(_fields(logged), ensure_ascii=False)
    return f"{fields[:-1]}{DATA}{logged.data}}}\n"


def _fields(logged: LoggedEvent) -> dict[str, str | int]:
    """Those of COLUMNS before `data`."""
    event = logged.event
    return {
        "xid": event.position.xid,
        "seq": event.position.seq,
        "occurred_at": rfc3339(event.occurred_at),
        "type": event.type,
        "subject_type": event.subject_type,
        "subject_id": str(event.subject_id),
        "version": event.version,
        "actor_kind": event.actor.kind.value,
        "actor_id": event.actor.id,
        "actor_name": event.actor.name,
        "request_id": event.request_id,
    }


class NoExport(ValueError):
    """A line isn't one of an export of the event log."""


def read(path: Path) -> Iterator[LoggedEvent]:
    """Of an exported file of either format. Raises NoExport."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        is_ndjson = file.read(1) in {"{", ""}
    rows = _ndjson_rows(path) if is_ndjson else _csv_rows(path)
    for number, row in enumerate(rows, 1):
        try:
            yield LoggedEvent(_event(row), row["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise NoExport(f"event {number} of the file isn't one as they are exported") from error


def _ndjson_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            # A quote within a text has a backslash before it: this is between two members.
            fields, _, data = line.rstrip("\n").partition(DATA)
            try:
                yield {**json.loads(f"{fields}}}"), "data": data[:-1]}
            except ValueError:
                yield {}


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv_files.DictReader(file):
            yield {name: cell if name == "data" else _text_in(cell) for name, cell in row.items()}


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        subject_type=row["subject_type"],
        subject_id=UUID(row["subject_id"]),
        version=int(row["version"]),
        type=row["type"],
        actor=Actor(ActorKind(row["actor_kind"]), row["actor_id"], row["actor_name"]),
        request_id=row["request_id"],
        data={},
        occurred_at=datetime.fromisoformat(row["occurred_at"]),
        position=LogPosition(int(row["xid"]), int(row["seq"])),
    )
