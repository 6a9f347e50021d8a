from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from billing.errors import Unavailable
from webapp.identity import attempts
from webapp.identity.attempts import Counted, Limit, TooManyAttempts, network

THREE = Limit("three", 3, timedelta(minutes=10))
TEN = Limit("ten", 10, timedelta(hours=1))


def made(engine: Engine, *counted: Counted, times: int) -> int:
    """How many of so many attempts were let through."""
    through = 0
    for _ in range(times):
        try:
            attempts.count(engine, *counted)
            through += 1
        except TooManyAttempts:
            pass
    return through


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM attempts")).scalar_one()


def test_no_more_than_the_limit_get_through_and_the_rest_is_told_when(engine: Engine):
    somebody = Counted(THREE, uuid4().hex)

    assert made(engine, somebody, times=5) == 3
    with pytest.raises(TooManyAttempts) as refusal:
        attempts.count(engine, somebody)
    assert 540 <= refusal.value.retry_after_s <= 600


def test_others_are_counted_for_themselves(engine: Engine):
    made(engine, Counted(THREE, "one"), times=5)

    assert made(engine, Counted(THREE, "other"), Counted(TEN, "one"), times=3) == 3


def test_the_longest_wait_counts(engine: Engine):
    who = uuid4().hex
    made(engine, Counted(TEN, who), times=10)
    with pytest.raises(TooManyAttempts) as refusal:
        attempts.count(engine, Counted(THREE, who), Counted(TEN, who))

    assert refusal.value.retry_after_s > 3_000


def test_one_that_is_refused_counts_under_none(engine: Engine):
    narrow, wide = Counted(THREE, uuid4().hex), Counted(TEN, uuid4().hex)
    made(engine, narrow, wide, times=50)
    assert made(engine, wide, times=20) == 7

    other = Counted(THREE, uuid4().hex)
    made(engine, other, wide, times=5)
    assert made(engine, other, times=5) == 3


def test_where_a_network_waits_nothing_more_is_stored(engine: Engine):
    network_ = Counted(TEN, uuid4().hex)
    made(engine, network_, times=10)
    before = stored(engine)
    for _ in range(5):
        made(engine, Counted(THREE, uuid4().hex), network_, times=1)

    assert stored(engine) == before


def test_of_many_at_once_no_more_get_through(engine: Engine):
    somebody, network_ = Counted(THREE, uuid4().hex), Counted(TEN, uuid4().hex)
    with ThreadPoolExecutor(8) as pool:
        both = [(somebody, network_), (network_, somebody)] * 8
        assert sum(pool.map(lambda pair: made(engine, *pair, times=1), both)) == 3


def test_after_the_window_it_begins_anew(engine: Engine):
    somebody = Counted(THREE, uuid4().hex)
    made(engine, somebody, times=4)
    with engine.begin() as connection:
        connection.execute(text("UPDATE attempts SET ends_at = clock_timestamp()"))

    assert made(engine, somebody, times=5) == 3


def test_success_forgets_what_was_before_and_what_is_shared_is_given_back(engine: Engine):
    own, shared = Counted(THREE, uuid4().hex), Counted(TEN, uuid4().hex)
    made(engine, own, shared, times=3)

    attempts.succeeded(engine, forget=own)
    attempts.give_back(engine, shared)

    assert made(engine, own, times=5) == 3
    assert made(engine, shared, times=20) == 8


def test_what_is_over_is_forgotten_by_whatever_is_tried_next(engine: Engine):
    for _ in range(5):
        attempts.count(engine, Counted(THREE, uuid4().hex))
    with engine.begin() as connection:
        connection.execute(text("UPDATE attempts SET ends_at = clock_timestamp() - interval '1 second'"))

    attempts.count(engine, Counted(THREE, "another"))

    assert stored(engine) == 1


def test_nobodys_name_or_address_is_kept(engine: Engine):
    attempts.count(engine, Counted(THREE, "ada@example.com"))

    with engine.connect() as connection:
        stored = connection.execute(text("SELECT string_agg(attempts::text, ' ') FROM attempts")).scalar_one()
    assert "ada" not in stored


def test_where_it_cant_be_counted_nothing_is_tried(engine: Engine):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE attempts RENAME TO elsewhere"))
    try:
        with pytest.raises(Unavailable):
            attempts.count(engine, Counted(THREE, "somebody"))
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO attempts"))


@pytest.mark.parametrize(
    ("address", "same_as"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, ""),
        ("unix:", "unix:"),
    ],
)
def test_a_network_is_what_one_subscriber_has(address: str | None, same_as: str):
    assert network(address) == network(same_as)
    assert network(address) != network("2001:db8:1:3::1")
