"""The live ledger and that of test mode, of one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from billing.ledger.engines import create_engine, create_test_engine


@contextmanager
def both_ledgers(url: str) -> Iterator[tuple[Engine, Engine]]:
    """Both of a database."""
    both = create_engine(url), create_test_engine(url)
    yield both
    for engine in both:
        engine.dispose()
