"""The clock that decides: the database's. A test bill has one of its own, as far ahead as it was advanced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.ledger import database, modes


def now(connection: Connection) -> datetime:
    """This instant, not the transaction's beginning: call it with the locks held."""
    instant: datetime = connection.execute(text("SELECT billing_now()")).scalar_one()
    return instant


def keep_to_bill(connection: Connection, bill_id: UUID) -> None:
    """From here on the transaction has this bill's clock, and its row is locked. Of a live bill that is everybody's
    clock: nothing is asked."""
    if modes.is_test(connection):
        connection.exec_driver_sql(_KEEP_TO_BILL, (bill_id,))


def rows_of_bill(
    engine: Engine, bill_id: UUID, statement: LiteralString, parameters: Sequence[Any], *, waits: bool = True
) -> list[Any]:
    """As `database.rows`, by the bill's clock. Unless it `waits`, raises IdempotencyInProgress where somebody else has
    a test bill locked."""
    if not modes.is_test(engine):
        return database.rows(engine, statement, parameters)
    keep: LiteralString = _KEEP_TO_BILL if waits else _KEEP_TO_BILL + " NOWAIT"
    return database.rows_in_turn(engine, [(keep, (bill_id,)), (statement, parameters)])[1]


def one_row_of_bill(engine: Engine, bill_id: UUID, statement: LiteralString, parameters: Sequence[Any]) -> Any:
    """The one row of such a statement, or None."""
    return next(iter(rows_of_bill(engine, bill_id, statement, parameters)), None)


# The schema of test mode has a billing_now() that adds it. For the transaction only: connections are shared.
_KEEP_TO_BILL: LiteralString = """
    SELECT set_config('pave.bill_clock_ahead', clock_ahead::text, true) FROM bills WHERE id = %s FOR NO KEY UPDATE
"""
