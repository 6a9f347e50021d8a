"""How large rows are with their indexes, and how fast bills close: measured on a database that the ledger filled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import Engine

from billing.bill import LineItemDraft
from billing.ledger import bills, closing, line_items
from billing.ledger.engines import create_engine
from billing.origin import Actor, ActorKind, Origin
from billing.period import Period
from embedded.postgres import Postgres

CHECKOUT = Path(__file__).resolve().parents[2]
BILLS, ITEMS = 200, 20
PER_BILL = ("bills", "bill_subtotals", "bill_workflows", "customers")
PER_ITEM = ("line_items", "idempotency_keys")
CLOSING = 1_000


@dataclass(frozen=True, slots=True)
class Sizes:
    bytes_per_bill: Mapping[str, float]
    bytes_per_item: Mapping[str, float]
    closed_per_s: float

    def as_costs(self) -> dict[str, Any]:
        return {
            "bytes_per_bill": self.bytes_per_bill,
            "bytes_per_item": self.bytes_per_item,
            "closed_per_s": self.closed_per_s,
        }


def measure() -> Sizes:
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-bench-"))
    directory.chmod(0o711)
    server = Postgres(directory)
    server.start()
    try:
        environment = {**os.environ, "DATABASE_URL": server.url()}
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=CHECKOUT, env=environment, check=True)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            # For what is only filled; closing is measured as it is.
            connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        engine = create_engine(server.url())
        try:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                return _measured(engine, connection)
        finally:
            engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _measured(engine: Engine, connection: psycopg.Connection) -> Sizes:
    empty = {name: _size(connection, name) for name in (*PER_BILL, *PER_ITEM, "events")}
    origin = Origin(Actor(ActorKind.API_KEY, str(uuid4()), "ledger-sync"), uuid4(), str(uuid4()))
    _fill(engine, origin, BILLS, ITEMS)
    connection.execute("VACUUM")
    grown = {name: _size(connection, name) - empty[name] for name in empty}
    events = grown.pop("events") / BILLS / (ITEMS + 3)
    closed_per_s = _closing(engine, origin, connection)
    return Sizes(
        {**{name: grown[name] / BILLS for name in PER_BILL}, "events": 3 * events},
        {**{name: grown[name] / BILLS / ITEMS for name in PER_ITEM}, "events": events},
        closed_per_s,
    )


def _fill(engine: Engine, origin: Origin, count: int, items: int) -> None:
    """Bills of a customer each, with items added one by one, and closed by hand."""
    now = datetime.now(UTC)
    for n in range(count):
        bill = bills.open_bill(engine, origin, f"customer-{n}", Period(now, now + timedelta(days=30))).bill
        for _ in range(items):
            draft = LineItemDraft.parse("Card processing, monthly", "12", "0.0125", "USD", offered=("USD",))
            line_items.add(engine, replace(origin, idempotency_key=str(uuid4())), bill.id, draft)
        bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, origin, bill.id, samples=True)


def _closing(engine: Engine, origin: Origin, connection: psycopg.Connection) -> float:
    """Bills a second that the sweep's batches close when all are due at once."""
    now = datetime.now(UTC)
    for n in range(CLOSING):
        bill = bills.open_bill(engine, origin, f"customer-{n}", Period(now, now + timedelta(days=1))).bill
        if n % 20 == 0:
            draft = LineItemDraft.parse("Card processing, monthly", "12", "0.0125", "USD", offered=("USD",))
            line_items.add(engine, origin, bill.id, draft)
    connection.execute("ANALYZE")
    connection.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")
    engine.dispose()
    connection.execute(
        "UPDATE bills SET period_start = period_start - interval '2 days', period_end = clock_timestamp()"
        " WHERE status = 'open'"
    )
    began, closed = time.perf_counter(), 0
    while batch := closing.close_due(engine, origin, limit=500, samples=True):
        closed += len(batch)
    assert closed == CLOSING
    return closed / (time.perf_counter() - began)


def _size(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [table]).fetchone()
    assert row
    return int(row[0])
