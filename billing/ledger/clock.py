"""The clock that decides: the database's."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text


def now(connection: Connection) -> datetime:
    """This instant, not the transaction's beginning: call it with the locks held."""
    instant: datetime = connection.execute(text("SELECT billing_now()")).scalar_one()
    return instant
