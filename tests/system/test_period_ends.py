"""Bills that close by themselves at their end, on time or late, with the rates of their end and no others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.exchange.refreshing import refresh
from billing.origin import by_the_system
from embedded.temporal import Temporal
from tests.support.integrator import Integrator
from tests.support.rates_provider import RatesProvider
from tests.support.stack import Stack, without_temporal
from tests.system.conftest import AssertAgree


@pytest.fixture(scope="module")
def provider() -> Iterator[RatesProvider]:
    with RatesProvider() as running:
        yield running


@pytest.fixture(scope="module")
def environment(provider: RatesProvider) -> dict[str, str]:
    return {"OPENEXCHANGERATES_APP_ID": provider.app_id, "OPENEXCHANGERATES_URL": provider.url}


def refreshed(stack: Stack, provider: RatesProvider, gel: str) -> None:
    """From now on a dollar is that many lari."""
    provider.publish(GEL=gel)
    assert refresh(stack.engine, stack.settings, by_the_system("test")) == "accepted"
    # The web process looks for new rates once a second.
    time.sleep(1.1)


def accruing(integrator: Integrator, **period: Any) -> str:
    """3.60 GEL and 10.00 USD."""
    bill_id = integrator.opened(**period)
    integrator.added(bill_id)
    integrator.added(bill_id, quantity=1, unit_price=10, currency="USD")
    return bill_id


def in_gel(bill: dict[str, Any]) -> str:
    return str(bill["total"]["converted"]["GEL"]["amount"])


def at_rate(gel: str) -> str:
    """10 USD at that rate come out even, so nothing is rounded."""
    return f"{Decimal('3.60') + 10 * Decimal(gel):.2f}"


def closed_by_itself_within_a_second(integrator: Integrator) -> tuple[str, dict[str, Any]]:
    """Of some bills the first: what a busy machine makes late it doesn't make late every time."""
    for _ in range(5):
        bill_id = accruing(integrator)
        assert in_gel(integrator.bill(bill_id)) == at_rate("2.5")
        integrator.ends_in(bill_id, timedelta(seconds=1))
        closed = integrator.bill_when(bill_id, "closed")
        assert lateness(closed) >= timedelta(0)
        if lateness(closed) < timedelta(seconds=1):
            return bill_id, closed
    raise AssertionError(f"the last closed {lateness(closed)} after its end")


def lateness(bill: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(bill["closed_at"]) - datetime.fromisoformat(bill["period_end"])


def test_a_bill_closes_within_a_second_of_its_end_and_its_rates_stay(
    stack: Stack, provider: RatesProvider, integrator: Integrator, agree: AssertAgree
) -> None:
    refreshed(stack, provider, "2.5")
    open_all_along = accruing(integrator)
    bill_id, closed = closed_by_itself_within_a_second(integrator)
    refused = integrator.add(bill_id)

    assert (closed["close_reason"], closed["effective_at"]) == ("period_end", closed["period_end"])
    assert (refused.status_code, refused.json()["details"]["reason"]) == (400, "bill_closed")
    refreshed(stack, provider, "2.6")
    assert in_gel(integrator.bill(open_all_along)) == at_rate("2.6")
    assert integrator.bill(bill_id) == closed
    assert (in_gel(closed), closed["rates"]["frozen"]) == (at_rate("2.5"), True)
    agree(bill_id, open_all_along)


def test_a_bill_whose_end_passed_while_everything_was_off_closes_with_the_rates_of_its_end(
    stack: Stack, provider: RatesProvider, temporal: Temporal, integrator: Integrator, agree: AssertAgree
) -> None:
    refreshed(stack, provider, "2.7")
    bill_id = accruing(integrator)

    with without_temporal(temporal):
        stack.worker.kill()
        integrator.ends_in(bill_id, timedelta(seconds=1))
        stack.web.kill()
        time.sleep(1.5)
        refreshed(stack, provider, "2.8")
    stack.start()

    closed = integrator.bill_when(bill_id, "closed")
    assert (closed["close_reason"], closed["effective_at"]) == ("period_end", closed["period_end"])
    assert lateness(closed) > timedelta(seconds=0.5)
    assert in_gel(closed) == at_rate("2.7")
    agree(bill_id)
    refreshed(stack, provider, "2.9")
    assert integrator.bill(bill_id) == closed


def test_an_end_that_was_moved_counts_and_the_first_one_does_not(integrator: Integrator, agree: AssertAgree) -> None:
    bill_id, first_end = moved_before_it_ended(integrator)
    time.sleep(max(0.0, (first_end - datetime.now(first_end.tzinfo)).total_seconds()) + 1)
    integrator.added(bill_id)

    later = integrator.ends_in(bill_id, timedelta(seconds=1))
    closed = integrator.bill_when(bill_id, "closed")
    assert datetime.fromisoformat(closed["effective_at"]) == later
    assert lateness(closed) >= timedelta(0)
    agree(bill_id)


def moved_before_it_ended(integrator: Integrator) -> tuple[str, datetime]:
    """A bill that was about to end until its end was moved by days, and when it would have ended."""
    for _ in range(5):
        bill_id = accruing(integrator)
        first_end = integrator.ends_in(bill_id, timedelta(seconds=2))
        later = (first_end + timedelta(days=3)).isoformat()
        if integrator.post(f"/bills/{bill_id}/period", {"period_end": later}).status_code == 200:
            return bill_id, first_end
    raise AssertionError("the machine takes longer than two seconds for a call")
