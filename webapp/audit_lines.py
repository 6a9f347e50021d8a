"""The event log as lines of a file: CSV for spreadsheets, NDJSON for programs. Both have every column of every row.

The text of `data` is the stored one: with it anybody can make again what is sealed of an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from billing.clock import rfc3339
from billing.ledger.audit_log import LoggedEvent
from webapp import csv_text

NDJSON = "application/x-ndjson"
COLUMNS = (
    "xid", "seq", "occurred_at", "type", "subject_type", "subject_id", "version", "actor_kind", "actor_id",
    "actor_name", "request_id", "data",
)  # fmt: skip
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
    return (*(str(value) if isinstance(value, int) else csv_text.text(value) for value in fields), logged.data)


def _line(logged: LoggedEvent) -> str:
    fields = json.dumps(_fields(logged), ensure_ascii=False)
    return f'{fields[:-1]}, "data": {logged.data}}}\n'


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
