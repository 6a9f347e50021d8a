"""The second view: PostgreSQL's rows, read by SQL of this file's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from tests.chaos.expected import Expected, Item


@dataclass
class Stored:
    """A bill's rows. `events` are their versions, in order; `reverses` is which item takes back which."""

    row: Any
    items: dict[str, Item] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    times: list[datetime] = field(default_factory=list)
    subtotals: dict[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    reverses: dict[str, str] = field(default_factory=dict)

    @property
    def sums(self) -> dict[str, Decimal]:
        return {code: row.subtotal for code, row in self.subtotals.items()}

    @property
    def payables(self) -> dict[str, Decimal]:
        return {code: row.payable for code, row in self.subtotals.items()}


def stored_bill(engine: Engine, bill_id: str) -> Stored | None:
    """All of it at one instant. None where there is no such bill."""
    of_bill = {"id": UUID(bill_id)}
    with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        bill = connection.execute(text("SELECT * FROM bills WHERE id = :id"), of_bill).one_or_none()
        if bill is None:
            return None
        found = Stored(bill)
        for row in connection.execute(text("SELECT * FROM line_items WHERE bill_id = :id ORDER BY position"), of_bill):
            found.items[str(row.id)] = Item(row.description, row.currency, row.total)
            found.positions[str(row.id)] = row.position
            found.times.append(row.created_at)
            if row.reverses is not None:
                found.reverses[str(row.id)] = str(row.reverses)
        rows = connection.execute(text("SELECT * FROM bill_subtotals WHERE bill_id = :id"), of_bill)
        found.subtotals = {row.currency: row for row in rows}
        query = "SELECT version, type, data FROM events WHERE subject_id = :id ORDER BY version"
        found.events = list(connection.execute(text(query), of_bill))
    return found


def differences(expected: Expected, stored: Stored) -> Iterator[str]:
    """Of the clients' record and the rows, and of the rows among themselves."""
    yield from _items(expected, stored)
    if stored.sums != expected.sums:
        yield f"subtotals are {stored.sums}, the items of the record add up to {expected.sums}"
    if stored.row.item_count != len(expected.items):
        yield f"the bill counts {stored.row.item_count} items, the record {len(expected.items)}"
    if sorted(stored.positions.values()) != list(range(1, stored.row.item_count + 1)):
        yield "the items' positions have gaps"
    yield from _events(expected, stored)
    yield from _closing(expected, stored)


def _items(expected: Expected, stored: Stored) -> Iterator[str]:
    for id_ in expected.items.keys() - stored.items.keys():
        yield f"acknowledged and not stored: {id_} {expected.items[id_]}"
    for id_ in stored.items.keys() - expected.items.keys():
        yield f"stored and never acknowledged: {id_} {stored.items[id_]}"
    for id_ in expected.items.keys() & stored.items.keys():
        if expected.items[id_] != stored.items[id_]:
            yield f"acknowledged as {expected.items[id_]}, stored as {stored.items[id_]}"
    if stored.reverses != expected.reverses:
        unlike = sorted(stored.reverses.items() ^ expected.reverses.items())
        yield f"which item takes back which is stored otherwise than it was acknowledged: {unlike[:4]}"


def _events(expected: Expected, stored: Stored) -> Iterator[str]:
    if [event.version for event in stored.events] != list(range(1, stored.row.version + 1)):
        yield f"the versions of its events are not 1 to {stored.row.version}"
    counts: dict[str, int] = defaultdict(int)
    for event in stored.events:
        counts[event.type] += 1
    adds = counts["line_items.added"] + counts["line_item.reversed"]
    if adds != expected.adds:
        yield f"{adds} events of adding, {expected.adds} requests that added"
    if counts["bill.period_changed"] != expected.extensions:
        yield f"{counts['bill.period_changed']} events of a moved end, {expected.extensions} requests that moved it"
    closes = (counts["bill.created"], counts["bill.close_requested"], counts["bill.closed"])
    wanted = (1, int(stored.row.close_requested_at is not None), int(stored.row.status == "closed"))
    if closes != wanted:
        yield f"created, wished closed and closed {closes} times instead of {wanted}"


def _closing(expected: Expected, stored: Stored) -> Iterator[str]:
    row = stored.row
    if expected.is_to_close and row.status != "closed":
        yield f"its close was acknowledged, and it is {row.status}"
    if row.status != "closed":
        return
    last = max(stored.times, default=None)
    if last is not None and last >= row.effective_at:
        yield f"an item of {last} was taken onto a bill whose cut-off is {row.effective_at}"
    if row.effective_at > row.closed_at or row.effective_at > row.period_end:
        yield f"closed at {row.closed_at} with cut-off {row.effective_at} and end {row.period_end}"
    if row.close_reason == "period_end" and row.effective_at != row.period_end:
        yield f"closed at the end of its period, {row.period_end}, with cut-off {row.effective_at}"
    if row.close_reason == "manual" and not expected.is_to_close:
        yield "closed by hand, and nobody asked for it"


def number_differences(engine: Engine) -> Iterator[str]:
    """Numbers of closed bills have no gaps."""
    with engine.connect() as connection:
        numbers = list(
            connection.execute(text("SELECT number FROM bills WHERE number IS NOT NULL ORDER BY 1")).scalars()
        )
        query = "SELECT last_value FROM counters WHERE name = 'bill_number'"
        given = connection.execute(text(query)).scalar_one()
    if numbers != list(range(1, len(numbers) + 1)):
        yield "the numbers of closed bills have gaps"
    if given != len(numbers):
        yield f"{given} numbers were given, {len(numbers)} bills have one"


def unknown_bills(engine: Engine, bill_ids: set[str]) -> Iterator[str]:
    with engine.connect() as connection:
        for id_ in connection.execute(text("SELECT id FROM bills")).scalars():
            if str(id_) not in bill_ids:
                yield f"bill {id_} is stored, and nobody was told of it"
