"""The way to PostgreSQL: one engine a process, bounded waits, its failures in the business's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import sqlalchemy
from psycopg import errors as postgres_errors
from sqlalchemy import Connection, Engine, exc

from billing.errors import IdempotencyInProgress, Unavailable

CONNECT_TIMEOUT_S = 3
LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
POOL_SIZE = 20
POOL_OVERFLOW = 20


def psycopg_url(url: str) -> str:
    """The same address for psycopg 3, whichever of the usual spellings came in."""
    scheme = urlsplit(url).scheme
    return "postgresql+psycopg" + url.removeprefix(scheme)


def engine_options(statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> dict[str, object]:
    """What every engine of this system is made with, Flask-SQLAlchemy's included."""
    return {
        "hide_parameters": True,  # values may be personal; errors are logged
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": CONNECT_TIMEOUT_S,
        "pool_use_lifo": True,
        "connect_args": {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout={statement_timeout_s}s -c timezone=UTC",
            "tcp_user_timeout": 4_000,
        },
    }


def create_engine(url: str, *, statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> Engine:
    return sqlalchemy.create_engine(psycopg_url(url), **engine_options(statement_timeout_s))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: everything in it is stored, or nothing.

    Raises Unavailable when the database is out of reach, IdempotencyInProgress when a lock that another
    request holds is not released within five seconds.
    """
    with _translated(), engine.begin() as connection:
        yield connection


@contextmanager
def single_statement(engine: Engine) -> Iterator[Connection]:
    """For one statement that is a transaction of its own: one round trip. Raises as `transaction` does."""
    with _translated(), engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Reads that belong together: all of them see the database at one instant."""
    with (
        _translated(),
        engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin() as connection,
    ):
        yield connection


_OUT_OF_REACH = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        if isinstance(error.orig, postgres_errors.LockNotAvailable):
            raise IdempotencyInProgress from error
        if error.connection_invalidated or isinstance(error, _OUT_OF_REACH):
            raise Unavailable from error
        raise
    except exc.TimeoutError as error:
        raise Unavailable from error


def violated_constraint(error: exc.IntegrityError) -> str | None:
    """The name of the constraint that refused a write."""
    diagnosis = getattr(error.orig, "diag", None)
    return diagnosis.constraint_name if diagnosis else None
