"""Alembic's entry: the database comes from DATABASE_URL, the tables from the one declarative base."""

from __future__ import annotations

import os

from alembic import context

import billing.ledger.tables as ledger_tables
import webapp.identity.tables as identity_tables
from billing.ledger.database import create_engine

METADATA = ledger_tables.Base.metadata
assert identity_tables.Base.metadata is METADATA


def run() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], statement_timeout_s=0)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
