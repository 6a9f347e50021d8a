"""The way to PostgreSQL: transactions, single statements, snapshots; its failures in the business's words."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any, LiteralString, TypeAlias, cast

import psycopg
from psycopg import errors as postgres_errors
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Dialect, Engine, PoolProxiedConnection, Select, exc

from billing.errors import BillingError, IdempotencyInProgress, Unavailable
from billing.ledger import modes


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
    with _translated(), _autocommitting(engine).connect() as connection:
        yield connection


@lru_cache
def _autocommitting(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def one_row(engine: Engine, statement: LiteralString, parameters: Sequence[Any]) -> Any:
    """The one row of such a statement, or None."""
    return next(iter(rows(engine, statement, parameters)), None)


def rows(engine: Engine, statement: LiteralString, parameters: Sequence[Any]) -> list[Any]:
    """The rows of a statement that is a transaction of its own; raises as `transaction` does.

    For what runs with every request: straight through psycopg on a connection of the engine's pool, which takes
    half the time that SQLAlchemy's execution takes. Constraints that refuse raise psycopg's own IntegrityError.
    """
    with _translated():
        pooled = engine.raw_connection()
        try:
            driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
            driver.autocommit = True
            try:
                return driver.cursor(row_factory=namedtuple_row).execute(statement, parameters).fetchall()
            finally:
                _give_back(pooled, driver)
        finally:
            pooled.close()


Statement: TypeAlias = tuple[LiteralString, Sequence[Any]]
AT_ONE_INSTANT: LiteralString = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def rows_in_turn(engine: Engine, statements: Sequence[Statement]) -> list[list[Any]]:
    """The rows of each of these statements, one transaction and one round trip; raises as `rows` does."""
    return rows_at_once(engine, statements, begin="BEGIN")


def rows_at_once(
    engine: Engine, statements: Sequence[Statement], *, begin: LiteralString = AT_ONE_INSTANT
) -> list[list[Any]]:
    """The rows of each of these questions, all of them at one instant and in one round trip; raises as `transaction`
    does. For what is read many times a second."""
    with _translated():
        pooled = engine.raw_connection()
        try:
            driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
            driver.autocommit = True
            found = _asked_at_once(driver, statements, begin)
        except BaseException:
            pooled.invalidate()  # in the midst of a transaction
            raise
        else:
            _give_back(pooled, driver)
            return found
        finally:
            pooled.close()


def _asked_at_once(
    driver: psycopg.Connection[Any], statements: Sequence[Statement], begin: LiteralString
) -> list[list[Any]]:
    with driver.pipeline():
        driver.execute(begin)
        asked = [driver.cursor(row_factory=namedtuple_row).execute(*statement) for statement in statements]
        driver.execute("COMMIT")
    return [cursor.fetchall() for cursor in asked]


class Questions:
    """Asked one after the other on a connection of the driver's; each is answered before the next is asked.

    `test`: of the ledger of test mode.
    """

    def __init__(self, driver: psycopg.Connection[Any], dialect: Dialect, *, test: bool = False) -> None:
        self._driver = driver
        self._dialect = dialect
        self.test = test

    def __call__(self, query: Select[Any], *, within: str = "{}") -> list[Any]:
        """The rows of the query, or of the statement `within` that has it at its braces."""
        return self.plainly(*self.written(query, within=within))

    def written(self, query: Select[Any], *, within: str = "{}") -> tuple[str, Mapping[str, Any]]:
        """The same as text, with its parameters."""
        compiled = query.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        return within.format(compiled), compiled.params

    def plainly(self, statement: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> list[Any]:
        return self._driver.cursor(row_factory=namedtuple_row).execute(statement.encode(), parameters).fetchall()


@contextmanager
def questions(engine: Engine) -> Iterator[Questions]:
    """As `snapshot`, for what is asked often: past SQLAlchemy's execution, and one round trip for each question."""
    with _translated():
        pooled = engine.raw_connection()
        try:
            driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
            driver.autocommit = True
            with driver.pipeline():
                driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield Questions(driver, engine.dialect, test=modes.is_test(engine))
                driver.execute("COMMIT")
        except BaseException:
            pooled.invalidate()  # in the midst of a transaction
            raise
        else:
            _give_back(pooled, driver)
        finally:
            pooled.close()


def in_one_snapshot(
    engine: Engine, write: Callable[[Questions], tuple[str, Mapping[str, Any]]], *, at_once: int, within_s: int
) -> Generator[list[Any], None, None]:
    """The rows of the statement that `write` gives, however many, so many at a time and all of one instant.

    Read through a cursor, on a connection that is held until the last of them, until the generator is closed, or for
    `within_s` seconds: then the database ends it. Raises as `transaction` does.
    """
    with _translated():
        pooled = engine.raw_connection()
        try:
            driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
            driver.autocommit = True
            driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The first rows may come late where few are wanted of many.
            for limit in ("statement_timeout", "transaction_timeout"):
                # PostgreSQL 16 hasn't the second.
                known = "WHERE current_setting(%s, true) IS NOT NULL"
                driver.execute(f"SELECT set_config(%s, %s, true) {known}".encode(), (limit, f"{within_s}s", limit))
            statement, parameters = write(Questions(driver, engine.dialect, test=modes.is_test(engine)))
            driver.execute(f"DECLARE rows_wanted NO SCROLL CURSOR FOR {statement}".encode(), parameters, prepare=False)
            cursor = driver.cursor(row_factory=namedtuple_row)
            while found := cursor.execute(f"FETCH {at_once} FROM rows_wanted".encode(), prepare=False).fetchall():
                yield found
            driver.execute("COMMIT")
        except BaseException:
            pooled.invalidate()  # in the midst of a transaction
            raise
        else:
            _give_back(pooled, driver)
        finally:
            pooled.close()


def _give_back(pooled: PoolProxiedConnection, driver: psycopg.Connection[Any]) -> None:
    if driver.info.transaction_status == TransactionStatus.IDLE:
        driver.autocommit = False
    else:
        pooled.invalidate()  # lost, or given up while a statement runs


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Reads that belong together: all of them see the database at one instant."""
    with (
        _translated(),
        engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin() as connection,
    ):
        yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.TimeoutError as error:
        raise Unavailable from error
    except exc.DBAPIError as error:
        meaning = Unavailable() if error.connection_invalidated else _meaning(error.orig)
        if meaning is None:
            raise
        raise meaning from error
    except psycopg.Error as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: BaseException | None) -> BillingError | None:
    """What an error of the driver means to a caller; None for what only a bug explains."""
    if isinstance(error, postgres_errors.LockNotAvailable):
        return IdempotencyInProgress()
    out_of_reach = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError)
    return Unavailable() if out_of_reach else None
