"""Test mode: the same ledger once more, in a schema of its own. What test keys make lies there and nowhere else.

Every statement names tables without a schema, so a connection's search path says which ledger it is about; what isn't
part of a ledger (rates, settings, users) is found in both.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Interval, literal_column

from billing.ledger.tables.bills import BillRow

SCHEMA = "pave_test"
LIVE_SCHEMA = "public"
OPTION = "pave_test_mode"
# Live rows have no clock of their own: nothing about them is other than it was without test mode.
_CLOCK_AHEAD: ColumnElement[Any] = literal_column("bills.clock_ahead", Interval).label("clock_ahead")


def is_test(ledger: Engine | Connection) -> bool:
    return bool(ledger.get_execution_options().get(OPTION))


def bill_columns(*, test: bool) -> tuple[ColumnElement[Any], ...]:
    """What a bill is read from."""
    columns = tuple(BillRow.__table__.c)
    return (*columns, _CLOCK_AHEAD) if test else columns
