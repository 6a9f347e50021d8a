"""What fails for long: one event is given up and its endpoint goes on; an endpoint at which nothing arrives is paused.

The database's clock, which alone decides, is moved on by hours and days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from billing.ledger import webhook_endpoints, webhook_log
from billing.ledger.public_events import event_id
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.origin import Origin
from billing.webhooks import Patience
from tests.support.ledger import OpenBill
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhooks import added, delivering, made_endpoint, rounds, standing
from tests.workflows.conftest import move_clock

DAY = timedelta(days=1)
USUAL = Patience()
Passes = Callable[[timedelta], None]


@pytest.fixture
def passes(engine: Engine) -> Iterator[Passes]:
    passed = timedelta(0)

    def passes(by: timedelta) -> None:
        nonlocal passed
        passed += by
        move_clock(engine, passed)

    yield passes
    move_clock(engine, timedelta(0))


def test_one_event_that_fails_on_a_quiet_endpoint_is_given_up_after_three_days_and_nobody_has_to_resume_anything(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    endpoint: WebhookEndpoint,
    passes: Passes,
) -> None:
    bill = open_bill()
    added(engine, origin, bill.id, 2)
    poison = event_id(bill.id, 1)
    receiver.answer = lambda received: 500 if received.id == poison else 200
    by = delivering(engine, USUAL)

    rounds_made = [by.round(endpoint.id, origin)]
    for _ in range(5):
        passes(timedelta(hours=14))
        rounds_made.append(by.round(endpoint.id, origin))
    assert webhook_endpoints.by_id(engine, endpoint.id).status == "active"
    assert standing(engine, endpoint.id)["pending"] == 3  # its bill's later ones wait
    passes(timedelta(hours=3))
    rounds(by, endpoint, origin)

    known = webhook_endpoints.by_id(engine, endpoint.id)
    assert (known.status, known.failing_since) == ("active", None)
    assert receiver.order()[f"evt_{bill.id}"] == [2, 3]
    (failed,) = webhook_log.deliveries(engine, endpoint.id, status="failed", limit=9)
    assert failed.event_id == poison
    assert not any(done.is_over for done in rounds_made)


def test_two_events_of_which_none_arrives_for_a_day_pause_it(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    passes: Passes,
) -> None:
    endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.created",))
    receiver.answer = lambda _: 503
    bills = [open_bill(), open_bill()]
    by = delivering(engine, USUAL)
    by.round(endpoint.id, origin)
    passes(timedelta(hours=23))
    assert not by.round(endpoint.id, origin).is_over
    passes(timedelta(hours=9))

    assert by.round(endpoint.id, origin).is_over
    assert webhook_endpoints.by_id(engine, endpoint.id).paused_reason == "failing"

    receiver.answer = lambda _: 200
    webhook_endpoints.resume(engine, origin, endpoint.id)
    rounds(by, endpoint, origin)
    assert all(receiver.order()[f"evt_{bill.id}"] == [1] for bill in bills)


def test_a_dead_receiver_of_a_single_bill_is_paused_with_its_second_event_so_that_the_rest_is_not_given_up(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, passes: Passes
) -> None:
    endpoint, _ = made_endpoint(engine, origin, receiver.url, ("line_items.added",))
    receiver.answer = lambda _: 503
    added(engine, origin, open_bill().id, 5)
    by = delivering(engine, USUAL)
    for _ in range(8):
        done = by.round(endpoint.id, origin)
        passes(timedelta(hours=12))
    assert done.is_over

    assert standing(engine, endpoint.id) == {"failed": 1, "pending": 4}
    assert webhook_endpoints.by_id(engine, endpoint.id).paused_reason == "failing"


def test_what_was_given_up_before_something_arrived_counts_no_more(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    endpoint: WebhookEndpoint,
    passes: Passes,
) -> None:
    poison, good = open_bill(), open_bill()
    receiver.answer = lambda received: 500 if str(poison.id) in received.id else 200
    by = delivering(engine, USUAL)
    for _ in range(4):
        by.round(endpoint.id, origin)
        passes(DAY)
        added(engine, origin, good.id)
    by.round(endpoint.id, origin)
    assert standing(engine, endpoint.id)["failed"] == 1
    added(engine, origin, poison.id)
    by.round(endpoint.id, origin)
    passes(DAY + timedelta(hours=1))

    assert not by.round(endpoint.id, origin).is_over
    assert webhook_endpoints.by_id(engine, endpoint.id).status == "active"
