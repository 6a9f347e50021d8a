"""When rates may be fetched by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from billing.ledger import rates
from billing.ledger.rate_requests import claim_by_hand, wait_until_allowed

MINUTE = timedelta(minutes=1)
NOW = timedelta(0)


@pytest.fixture(autouse=True)
def _never_asked(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM rate_refreshes"))


def age(engine: Engine, by: timedelta) -> None:
    """As if all of it had been that much earlier."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE rate_refreshes SET attempted_at = attempted_at - :by, retry_at = retry_at - :by"), {"by": by}
        )


def test_the_first_may_and_the_next_a_minute_later(engine: Engine) -> None:
    assert claim_by_hand(engine) == NOW
    assert timedelta(seconds=20) < claim_by_hand(engine) <= MINUTE
    assert wait_until_allowed(engine) > NOW
    age(engine, MINUTE)
    assert wait_until_allowed(engine) == NOW
    assert claim_by_hand(engine) == NOW


def test_what_the_background_did_counts_too(engine: Engine) -> None:
    assert rates.claim_refresh(engine, every=timedelta(hours=1))
    assert claim_by_hand(engine) > NOW
    age(engine, MINUTE)
    assert claim_by_hand(engine) == NOW
    assert not rates.claim_refresh(engine, every=timedelta(hours=1))


def test_of_many_at_once_one_fetches(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: claim_by_hand(engine), range(8)))
    assert waits.count(NOW) == 1


def test_after_a_failure_nobody_waits_for_our_own_patience(engine: Engine) -> None:
    rates.record_attempt(engine, "unreachable", retry_after=timedelta(minutes=5))
    age(engine, MINUTE)
    assert claim_by_hand(engine) == NOW


@pytest.mark.parametrize(
    ("outcome", "asked"), [("rate_limited", timedelta(minutes=5)), ("server_error", timedelta(hours=1))]
)
def test_what_the_provider_asked_for_is_kept_to(engine: Engine, outcome: str, asked: timedelta) -> None:
    rates.record_attempt(engine, outcome, retry_after=asked)
    age(engine, asked - MINUTE)
    assert timedelta(seconds=20) < claim_by_hand(engine) <= MINUTE
    age(engine, MINUTE)
    assert claim_by_hand(engine) == NOW
