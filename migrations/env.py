"""Alembic's entry: the database comes from DATABASE_URL, the tables from the one declarative base."""

from __future__ import annotations

import os

from alembic import context

from billing.ledger.base import Base
from billing.ledger.engines import create_engine
from billing.ledger.tables import (
    audit,
    bills,
    imports,
    links,
    log,
    rates,
    recovery,
    rollups,
    settings,
    webhooks,
    workflows,
)
from webapp.identity import tables as identity

# Importing these is what puts their tables on the base.
TABLES = (audit, bills, imports, links, log, rates, recovery, rollups, settings, webhooks, workflows, identity)


def run() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], statement_timeout_s=0)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
