"""Rounds of sending, without Temporal: order, repetition, patience, pausing, secrets."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from standardwebhooks import Webhook, WebhookVerificationError

from billing.ledger import (
    bills,
    epochs,
    feed,
    webhook_backlog,
    webhook_endpoints,
    webhook_log,
    webhook_queue,
    webhook_redelivery,
    webhook_removal,
    webhook_secrets,
)
from billing.ledger.database import transaction
from billing.ledger.public_events import EventId, event_id, parse_event_id
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.ledger.webhook_redelivery import Range
from billing.origin import Origin
from billing.webhooks import Patience, new_secret
from tests.support.ledger import OpenBill
from tests.support.webhook_receiver import Received, WebhookReceiver
from tests.support.webhooks import IMPATIENT, added, delivering, later, made_endpoint, rounds, sealed, standing
from workflows.delivering import Round

ITEMS = ("line_items.added",)
SLOW = Patience(first=timedelta(minutes=1))


def test_what_happens_from_now_on_is_sent_as_the_feed_has_it(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver
) -> None:
    before = open_bill()
    endpoint, secret = made_endpoint(engine, origin, receiver.url)
    bill = open_bill()
    added(engine, origin, bill.id)
    added(engine, origin, before.id)

    (done,) = rounds(delivering(engine), endpoint, origin)

    assert (done.arrived, done.failed) == (4, 0)
    assert receiver.order()[f"evt_{bill.id}"] == [1, 2]
    assert receiver.order()[f"evt_{before.id}"] == [2]
    for received in receiver.received:
        assert Webhook(secret).verify(received.body, received.headers) == received.event
        assert received.headers["webhook-id"] == received.id
        assert received.headers["content-type"] == "application/json"
        assert "actor" not in received.event
    webhook_removal.remove(engine, origin, endpoint.id)


def test_only_the_types_that_were_chosen(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver
) -> None:
    endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.close_requested",))
    bill = open_bill()
    added(engine, origin, bill.id, 3)
    bills.request_close(engine, origin, bill.id)

    rounds(delivering(engine), endpoint, origin)

    assert receiver.accepted == [event_id(bill.id, 5)]
    webhook_removal.remove(engine, origin, endpoint.id)


def test_beside_failures_and_silence_each_bills_events_come_in_order(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    chance = random.Random(5)

    def answer(_: Received) -> int | None:
        return None if chance.random() < 0.01 else chance.choice((200, 204, 500, 302, 404))

    receiver.answer = answer
    opened = [open_bill().id for _ in range(10)]
    for _ in range(12):
        for bill_id in opened:
            added(engine, origin, bill_id)

    made = rounds(delivering(engine), endpoint, origin)

    order = receiver.order()
    assert all(order[f"evt_{bill_id}"] == list(range(1, 14)) for bill_id in opened)
    assert sum(done.failed for done in made) > 50
    assert standing(engine, endpoint.id) == {"delivered": 10 * 13 + 10}


def test_an_event_that_fails_holds_back_those_of_its_bill_alone(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    stuck, other = open_bill(), open_bill()
    receiver.answer = lambda received: 500 if str(stuck.id) in received.id else 200
    for bill in (stuck, other):
        added(engine, origin, bill.id, 3)

    done = delivering(engine, SLOW).round(endpoint.id, origin)

    assert receiver.order()[f"evt_{other.id}"] == [1, 2, 3, 4]
    assert [received.version for received in receiver.received if str(stuck.id) in received.id] == [1]
    assert standing(engine, endpoint.id)["pending"] == 4
    assert done.wait is not None
    assert timedelta(seconds=40) < done.wait < timedelta(seconds=80)


def test_after_three_days_it_is_given_up_and_the_later_ones_go_on(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    bill = open_bill()
    added(engine, origin, bill.id, 2)
    receiver.answer = lambda received: 500 if received.id == event_id(bill.id, 2) else 200
    by = delivering(engine, Patience(first=timedelta(minutes=1), pause_after=timedelta(days=9)))
    by.round(endpoint.id, origin)
    later(engine, timedelta(days=2, hours=23))
    by.round(endpoint.id, origin)
    assert f"evt_{bill.id}_3" not in receiver.accepted
    later(engine, timedelta(hours=2))

    rounds(by, endpoint, origin)

    assert receiver.order()[f"evt_{bill.id}"] == [1, 3]
    (failed,) = webhook_log.deliveries(engine, endpoint.id, status="failed", limit=9)
    assert (failed.event_id, failed.attempts) == (event_id(bill.id, 2), 3)
    assert [(made.attempt, made.status, made.excerpt) for made in failed.made] == [
        (3, 500, "try again <later>"),
        (2, 500, "try again <later>"),
        (1, 500, "try again <later>"),
    ]


def test_one_that_waited_for_it_has_three_days_of_its_own(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    bill = open_bill()
    added(engine, origin, bill.id, 2)
    receiver.answer = lambda received: 200 if received.id == event_id(bill.id, 1) else 500
    by = delivering(engine, Patience(first=timedelta(minutes=1), pause_after=timedelta(days=9)))
    by.round(endpoint.id, origin)
    later(engine, timedelta(days=3, hours=1))
    by.round(endpoint.id, origin)
    by.round(endpoint.id, origin)

    found = {one.event_id: one for one in webhook_log.deliveries(engine, endpoint.id, limit=9)}
    assert (found[event_id(bill.id, 2)].status, found[event_id(bill.id, 2)].attempts) == ("failed", 2)
    assert (found[event_id(bill.id, 3)].status, found[event_id(bill.id, 3)].attempts) == ("pending", 1)


def test_one_at_which_nothing_arrives_rests_longer_and_longer_and_is_paused_after_a_day(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    receiver.answer = lambda _: 503
    opened = [open_bill().id for _ in range(40)]
    by = delivering(engine, SLOW)

    first = by.round(endpoint.id, origin)

    assert 16 <= first.failed <= 24
    assert first.wait is not None
    assert timedelta(0) < first.wait
    assert by.round(endpoint.id, origin).failed == 0  # it rests
    later(engine, timedelta(hours=12))
    assert 16 <= by.round(endpoint.id, origin).failed <= 24
    assert webhook_endpoints.by_id(engine, endpoint.id).status == "active"
    later(engine, timedelta(hours=12, minutes=1))
    assert by.round(endpoint.id, origin).is_over

    paused = webhook_endpoints.by_id(engine, endpoint.id)
    assert (paused.status, paused.paused_reason) == ("paused", "failing")
    assert [one.id for one in webhook_endpoints.failing(engine)] == [endpoint.id]
    later(engine, timedelta(days=30))
    assert by.round(endpoint.id, origin) == Round(is_over=True)

    # Resumed a month later it goes on from where it stopped: nothing was given up meanwhile.
    receiver.answer = lambda _: 200
    added(engine, origin, opened[0])
    webhook_endpoints.resume(engine, origin, endpoint.id)
    rounds(by, endpoint, origin)
    assert set(standing(engine, endpoint.id)) == {"delivered"}
    assert receiver.order()[f"evt_{opened[0]}"] == [1, 2]
    assert webhook_endpoints.by_id(engine, endpoint.id).failing_since is None


def test_an_arrival_ends_the_count_of_the_day(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    bad, good = open_bill(), open_bill()
    receiver.answer = lambda received: 200 if str(good.id) in received.id else 500
    by = delivering(engine, SLOW)
    by.round(endpoint.id, origin)
    for _ in range(3):
        later(engine, timedelta(hours=23))
        added(engine, origin, good.id)
        by.round(endpoint.id, origin)
    assert webhook_endpoints.by_id(engine, endpoint.id).status == "active"
    assert f"evt_{bad.id}_1" not in receiver.accepted


def test_paused_by_hand_nothing_is_sent_and_nothing_lost(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    webhook_endpoints.pause(engine, origin, endpoint.id)
    bill = open_bill()
    by = delivering(engine)
    assert by.round(endpoint.id, origin).is_over
    assert receiver.received == []
    webhook_endpoints.resume(engine, origin, endpoint.id)
    rounds(by, endpoint, origin)
    assert receiver.order()[f"evt_{bill.id}"] == [1]


def test_a_pause_ends_a_round_that_is_under_way(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    for _ in range(3):
        added(engine, origin, open_bill().id, 60)

    def answer(_: Received) -> int:
        if len(receiver.received) == 10:
            webhook_endpoints.pause(engine, origin, endpoint.id)
        return 200

    receiver.answer = answer
    assert delivering(engine).round(endpoint.id, origin).is_over
    assert len(receiver.received) < 100


def test_both_secrets_sign_for_a_day_after_a_rotation(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver
) -> None:
    endpoint, old = made_endpoint(engine, origin, receiver.url)
    new = new_secret()
    webhook_secrets.rotate(engine, origin, endpoint.id, sealed(new))
    open_bill()
    rounds(delivering(engine), endpoint, origin)
    for secret in (old, new):
        Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)

    later(engine, timedelta(hours=25))
    open_bill()
    rounds(delivering(engine), endpoint, origin)
    Webhook(new).verify(receiver.received[-1].body, receiver.received[-1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.received[-1].body, receiver.received[-1].headers)
    webhook_removal.remove(engine, origin, endpoint.id)


def test_a_secret_sealed_under_another_key_is_a_failure_that_says_so(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver
) -> None:
    endpoint, _ = made_endpoint(engine, origin, receiver.url, secret_key="another one of sixteen")
    open_bill()
    delivering(engine, SLOW).round(endpoint.id, origin)
    assert receiver.received == []
    assert {made.error for one in webhook_log.deliveries(engine, endpoint.id, limit=9) for made in one.made} == {
        "secret_unreadable"
    }

    webhook_secrets.rotate(engine, origin, endpoint.id, sealed(new := new_secret()))
    later(engine, timedelta(hours=1))
    rounds(delivering(engine), endpoint, origin)
    Webhook(new).verify(receiver.received[-1].body, receiver.received[-1].headers)
    webhook_removal.remove(engine, origin, endpoint.id)


def test_what_is_due_is_found_by_reading_each_that_waits_once(
    engine: Engine, origin: Origin, open_bill: OpenBill, endpoint: WebhookEndpoint
) -> None:
    """Also by statistics of an hour in which hardly anything waited."""
    with engine.begin() as connection:
        statement = f"EXPLAIN {webhook_queue._HEADS}"
        plan = "\n".join(connection.execute(text(statement), {"id": endpoint.id}).scalars())
    assert plan.count(" on webhook_deliveries") == 1
    assert "Join" not in plan


def test_one_event_or_those_since_an_instant_are_sent_again(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    bill = open_bill()
    added(engine, origin, bill.id, 3)
    by = delivering(engine)
    rounds(by, endpoint, origin)
    receiver.received.clear()

    def again(**wanted: object) -> int:
        return webhook_redelivery.redeliver(engine, origin, endpoint.id, Range(**wanted)).queued

    def again_one(version: int) -> int:
        event = EventId(bill.id, version)
        days = timedelta(days=3)
        return webhook_redelivery.redeliver_one(engine, origin, endpoint.id, event, give_up_after=days).queued

    assert again_one(2) == 1
    rounds(by, endpoint, origin)
    assert [received.id for received in receiver.received] == [event_id(bill.id, 2)]

    receiver.received.clear()
    since = line_items_since(engine, bill.id, 3)
    assert again(since=since) == 2
    rounds(by, endpoint, origin)
    assert [received.id for received in receiver.received] == [event_id(bill.id, n) for n in (3, 4)]
    assert again(since=since, only_failed=True) == 0
    assert again(since=since, until=since) == 0
    with pytest.raises(webhook_redelivery.WebhookDeliveryNotFound):
        again_one(99)


def line_items_since(engine: Engine, bill_id: UUID, version: int):
    with engine.connect() as connection:
        query = text("SELECT occurred_at FROM events WHERE subject_id = :id AND version = :version")
        return connection.execute(query, {"id": bill_id, "version": version}).scalar_one()


def test_far_behind_only_a_bounded_part_of_the_log_is_queued(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    endpoint: WebhookEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_backlog, "MOST_PENDING", 30)
    receiver.answer = lambda _: 500
    for _ in range(5):
        added(engine, origin, open_bill().id, 20)
    by = delivering(engine, SLOW)
    by.round(endpoint.id, origin)
    assert standing(engine, endpoint.id) == {"pending": 30}
    receiver.answer = lambda _: 200
    webhook_endpoints.pause(engine, origin, endpoint.id)
    webhook_endpoints.resume(engine, origin, endpoint.id)
    rounds(by, endpoint, origin)
    assert standing(engine, endpoint.id) == {"delivered": 5 * 22}


def test_events_of_transactions_that_commit_late_are_sent_too(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    slow, quick = open_bill(), open_bill()
    by = delivering(engine)
    rounds(by, endpoint, origin)
    with transaction(engine) as connection:
        bills.locked(connection, slow.id)
        connection.execute(text("UPDATE bills SET version = version WHERE id = :id"), {"id": slow.id})
        added(engine, origin, quick.id)
        rounds(by, endpoint, origin)
        assert receiver.order()[f"evt_{quick.id}"] == [1]
    rounds(by, endpoint, origin)
    assert receiver.order()[f"evt_{quick.id}"] == [1, 2]


def test_told_to_stop_it_waits_for_no_answer(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    receiver.answer = lambda _: None
    open_bill()
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    began = time.monotonic()
    delivering(engine).round(endpoint.id, origin, is_stopping=stopping.is_set)
    assert time.monotonic() - began < 0.9


def test_after_a_restore_from_another_server_nothing_is_passed_over(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    """A dump brings transaction ids along that lie ahead of this server's."""
    by, bill = delivering(engine), open_bill()
    rounds(by, endpoint, origin)
    added(engine, origin, bill.id)
    with engine.begin() as connection:
        ahead = "(xid::text::bigint + 1000000000)::text::xid8"
        connection.execute(text(f"UPDATE events SET xid = {ahead} WHERE subject_id = :id"), {"id": bill.id})
        connection.execute(text(f"UPDATE webhook_endpoints SET xid = {ahead}"))
    epochs.adopt_log(engine)
    added(engine, origin, bill.id)
    rounds(by, endpoint, origin)
    assert receiver.order()[f"evt_{bill.id}"] == [1, 2, 3]


def test_after_a_restore_the_same_version_comes_under_another_id(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    """Receivers know an event by its id: one with other contents must not pass for one that they had before."""
    start, by, bill = feed.head(engine), delivering(engine), open_bill()
    added(engine, origin, bill.id)
    rounds(by, endpoint, origin)
    epoch = epochs.begin(engine, "test", []).epoch
    added(engine, origin, bill.id)
    rounds(by, endpoint, origin)

    sent = [received for received in receiver.received if str(bill.id) in received.id]
    known = [f"evt_{bill.id}_1", f"evt_{bill.id}_2", f"evt_{bill.id}_3_{epoch}"]
    assert [received.id for received in sent] == [received.headers["webhook-id"] for received in sent] == known
    told = feed.page(engine, None, start, ("line_items.added",), limit=100).events
    assert [event["id"] for event in told if event["subject"]["id"] == str(bill.id)] == known[1:]
    listed = webhook_log.deliveries(engine, endpoint.id, limit=9)
    assert [one.event_id for one in listed if str(bill.id) in one.event_id] == known[::-1]

    def again(event: EventId) -> int:
        days = timedelta(days=3)
        return webhook_redelivery.redeliver_one(engine, origin, endpoint.id, event, give_up_after=days).queued

    for lost in (EventId(bill.id, 3), EventId(bill.id, 2, epoch)):
        with pytest.raises(webhook_redelivery.WebhookDeliveryNotFound):
            again(lost)
    assert again(parse_event_id(known[2])) == again(parse_event_id(known[1])) == 1


def test_what_was_settled_a_month_ago_is_forgotten(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    open_bill()
    rounds(delivering(engine, IMPATIENT), endpoint, origin)
    later(engine, timedelta(days=29))
    assert webhook_log.prune(engine) == 0
    later(engine, timedelta(days=2))
    assert webhook_log.prune(engine) == 2
    assert standing(engine, endpoint.id) == {}
