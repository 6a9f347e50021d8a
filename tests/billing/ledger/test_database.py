"""A connection that is lost in the midst of a statement: it is out of reach, and the next call is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url, select, text

from billing.errors import Unavailable
from billing.ledger import database
from billing.ledger.engines import create_engine
from tests.support.cut_off import Way


@pytest.fixture
def way(database_url: str) -> Iterator[Way]:
    with closing(Way(make_url(database_url).port or 5432)) as way:
        yield way


@pytest.fixture
def by_it(database_url: str, way: Way) -> Iterator[Engine]:
    made = create_engine(make_url(database_url).set(port=way.port).render_as_string(hide_password=False))
    yield made
    made.dispose()


def by_rows(engine: Engine) -> object:
    return database.rows(engine, "SELECT 1", ())[0][0]


def by_rows_at_once(engine: Engine) -> object:
    return database.rows_at_once(engine, [("SELECT 1", ())])[0][0][0]


def by_questions(engine: Engine) -> object:
    with database.questions(engine) as ask:
        return ask(select(text("1")))[0][0]


def by_a_cursor(engine: Engine) -> object:
    [found] = database.in_one_snapshot(engine, lambda _: ("SELECT 1", {}), at_once=10, within_s=5)
    return found[0][0]


def by_a_transaction(engine: Engine) -> object:
    with database.transaction(engine) as connection:
        return connection.scalar(text("SELECT 1"))


def by_a_single_statement(engine: Engine) -> object:
    with database.single_statement(engine) as connection:
        return connection.scalar(text("SELECT 1"))


def by_a_snapshot(engine: Engine) -> object:
    with database.snapshot(engine) as connection:
        return connection.scalar(text("SELECT 1"))


WAYS = [
    by_rows,
    by_rows_at_once,
    by_questions,
    by_a_cursor,
    by_a_transaction,
    by_a_single_statement,
    by_a_snapshot,
]


@pytest.mark.parametrize("ask", WAYS)
def test_cut_off_it_is_out_of_reach_once(
    by_it: Engine, way: Way, ask: Callable[[Engine], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(by_it) == 1
    way.cut_at_the_next_word = True
    with pytest.raises(Unavailable):
        ask(by_it)
    assert not way.cut_at_the_next_word
    assert ask(by_it) == 1
    assert nothing_failed(caplog)


@pytest.mark.parametrize("ask", WAYS)
def test_given_up_by_the_driver_while_it_runs_it_is_out_of_reach_once(
    by_it: Engine, ask: Callable[[Engine], object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As psycopg does when the socket shows an error and nothing to read yet: it doesn't take the connection for
    broken, but for one on which a statement runs."""
    assert ask(by_it) == 1

    def give_up(asking: Generator[Any, Any, Any], *_: object, **__: object) -> Any:
        try:
            next(asking)
        except StopIteration as known_without_asking:
            return known_without_asking.value
        monkeypatch.undo()
        raise psycopg.OperationalError("connection socket closed")

    monkeypatch.setattr(psycopg.waiting, "wait", give_up)
    with pytest.raises(Unavailable):
        ask(by_it)
    assert ask(by_it) == 1
    assert nothing_failed(caplog)


def nothing_failed(caplog: pytest.LogCaptureFixture) -> bool:
    return all(record.levelno < logging.ERROR for record in caplog.records)
