"""An event log that is sealed in small batches, and what somebody who can write to the database does to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from billing.ledger import bills, line_items, sealing
from billing.ledger.database import snapshot, transaction
from billing.ledger.seals import Entry, entries_in
from billing.origin import Origin
from billing.period import Period
from tests.support.ledger import draft

BATCH = 4
BILLS = 3
ITEMS = 5


def happen(engine: Engine, origin: Origin) -> None:
    """Bills with items, in turn: a customer's and a bill's event each, and ITEMS of each bill."""
    now = datetime.now(UTC)
    period = Period(now, now + timedelta(days=30))
    opened = [bills.open_bill(engine, origin, f"c-{n}", period).bill for n in range(BILLS)]
    for _ in range(ITEMS):
        for bill in opened:
            line_items.add(engine, origin, bill.id, draft())


def seal_all(engine: Engine, limit: int = BATCH) -> None:
    while sealing.seal(engine, limit=limit):
        pass


def entries(engine: Engine) -> list[list[Entry]]:
    """As they are sealed, seal by seal."""
    with snapshot(engine) as connection:
        rows = connection.execute(text("SELECT entries FROM audit_seals ORDER BY number")).scalars()
        return [entries_in(row) for row in rows]


def tamper(engine: Engine, *statements: str, **values: Any) -> None:
    with transaction(engine) as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def stored(engine: Engine) -> Sequence[Any]:
    with snapshot(engine) as connection:
        return connection.execute(text("SELECT * FROM events ORDER BY xid, seq")).all()
