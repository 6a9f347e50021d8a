"""Migrations go forward and back, and end where the tables are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from sqlalchemy import text

from billing.ledger.database import create_engine
from embedded.postgres import Postgres
from tests.conftest import PROJECT, migrate


def test_migrations_and_tables_agree(new_database: Callable[[], str]) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": new_database()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_back_to_nothing_and_forward_again(postgres: Postgres) -> None:
    url = postgres.create_database("back_and_forth")
    for revision in ("head", "base", "head"):
        migrate(url, revision)
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
    engine.dispose()
    assert tables > 10
