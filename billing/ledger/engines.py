"""Engines: one of each ledger in a process, with bounded waits, and none that leads to the other."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg
import sqlalchemy
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event, exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from billing.ledger import modes

CONNECT_TIMEOUT_S = 3
LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
# One for each thread of a web process: those of an overflow are closed after each use, and a new one takes
# longer than adding an item.
POOL_SIZE = 40
POOL_OVERFLOW = 0
# Of the ledger of test mode: whatever is tried out there, live calls have most of the server to themselves.
TEST_POOL_SIZE = 10


def psycopg_url(url: str) -> str:
    """The same address for psycopg 3, whichever of the usual spellings came in."""
    scheme = urlsplit(url).scheme
    return "postgresql+psycopg" + url.removeprefix(scheme)


def engine_options(
    statement_timeout_s: int = STATEMENT_TIMEOUT_S, search_path: Sequence[str] = (modes.LIVE_SCHEMA,)
) -> dict[str, object]:
    """What every engine of this system is made with, Flask-SQLAlchemy's included.

    The search path is said, since PostgreSQL's own begins with a schema of the role's name.
    """
    settings = {
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "statement_timeout": f"{statement_timeout_s}s",
        "timezone": "UTC",
        "search_path": ",".join(search_path),
    }
    return {
        "hide_parameters": True,  # values may be personal; errors are logged
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": CONNECT_TIMEOUT_S,
        "pool_use_lifo": True,
        "pool_events": [(_refuse_hung_up, "checkout"), (_refuse_elsewhere(search_path[0]), "connect")],
        "connect_args": {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "tcp_user_timeout": 4_000,
        },
    }


def _refuse_hung_up(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _proxy: object) -> None:
    """A server that was restarted has hung up: then the pool connects anew, and nobody notices.

    Asks the operating system alone, where a ping would cost every request a round trip. What a server says
    on a connection that nobody uses is that it ends it. A new connection isn't asked: it shows soon enough.
    """
    if "was_used" not in record.info:
        record.info["was_used"] = True
        return
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise exc.DisconnectionError


@event.listens_for(Engine, "handle_error")
def _lost_while_a_statement_runs(context: ExceptionContext) -> None:
    """When a socket shows an error before there is an end to read, psycopg raises, and takes the connection for one
    on which the statement runs: rolling back fails, and so does everything else."""
    connection = context.connection
    if connection is None or connection.closed or connection.invalidated:
        return
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection) and driver.info.transaction_status == TransactionStatus.ACTIVE:
        context.is_disconnect = True


def create_engine(url: str, *, statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> Engine:
    return sqlalchemy.create_engine(psycopg_url(url), **engine_options(statement_timeout_s))


def create_test_engine(url: str) -> Engine:
    """Of the ledger of test mode."""
    options = engine_options(search_path=(modes.SCHEMA, modes.LIVE_SCHEMA))
    options |= {"pool_size": TEST_POOL_SIZE, "execution_options": {modes.OPTION: True}}
    return sqlalchemy.create_engine(psycopg_url(url), **options)


def _refuse_elsewhere(schema: str) -> Callable[[psycopg.Connection[Any], object], None]:
    """Where the schema isn't there, or something on the way dropped the search path, a connection would lead to
    another ledger."""

    def refuse(connection: psycopg.Connection[Any], _record: object) -> None:
        found = connection.execute("SELECT current_schema()").fetchone()
        connection.rollback()
        if found is None or found[0] != schema:
            raise psycopg.OperationalError(f"the connection doesn't lead to the ledger in schema {schema}")

    return refuse
