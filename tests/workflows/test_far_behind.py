"""Much that waits: a bill that is stuck, ranges that are sent again, endpoints that are deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from billing.ledger import webhook_backlog, webhook_endpoints, webhook_log, webhook_queue, webhook_removal
from billing.ledger import webhook_redelivery as redelivery
from billing.ledger.public_events import event_id
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.ledger.webhook_redelivery import Range
from billing.origin import Origin
from billing.webhooks import Patience
from tests.support.ledger import OpenBill, keyed
from tests.support.webhook_receiver import Received, WebhookReceiver
from tests.support.webhooks import added, delivering, later, made_endpoint, rounds, standing

SLOW = Patience(first=timedelta(minutes=1))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def logged(engine: Engine, bill_id: UUID, count: int) -> None:
    """So many events of a bill, as if something had happened to it so often."""
    with engine.begin() as connection:
        connection.execute(
            text(
                """
                INSERT INTO events (subject_id, version, subject_type, type, actor_kind, actor_id, actor_name,
                                    request_id, data, occurred_at)
                SELECT subject_id, version + n, subject_type, 'line_items.added', actor_kind, actor_id, actor_name,
                       request_id, '{}', occurred_at
                FROM (SELECT * FROM events WHERE subject_id = :id ORDER BY version DESC LIMIT 1) AS newest,
                     generate_series(1, :count) AS n
                """
            ),
            {"id": bill_id, "count": count},
        )


def waiting(engine: Engine, endpoint: WebhookEndpoint, bill_id: UUID) -> int:
    query = (
        "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = :id AND subject_id = :bill AND status = 'pending'"
    )
    with engine.connect() as connection:
        return connection.execute(text(query), {"id": endpoint.id, "bill": bill_id}).scalar_one()


def test_a_stuck_bill_with_twenty_thousand_events_keeps_no_other_bill_waiting(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint
) -> None:
    stuck = open_bill()
    logged(engine, stuck.id, 20_000)
    receiver.answer = lambda received: 500 if str(stuck.id) in received.id else 200
    other = open_bill()
    added(engine, origin, other.id, 3)

    rounds_made = [delivering(engine, SLOW).round(endpoint.id, origin) for _ in range(3)]

    assert receiver.order()[f"evt_{other.id}"] == [1, 2, 3, 4]
    assert waiting(engine, endpoint, stuck.id) <= webhook_backlog.MOST_OF_A_BILL
    assert webhook_log.pending(engine, endpoint.id) == 20_001
    assert rounds_made[-1].wait is not None
    assert rounds_made[-1].wait > timedelta(seconds=10)  # nobody looks through it all the time


def test_a_bill_that_waited_in_the_log_is_sent_whole_and_in_order(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    endpoint: WebhookEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_backlog, "MOST_OF_A_BILL", 10)
    bill, other = open_bill(), open_bill()
    logged(engine, bill.id, 60)
    added(engine, origin, other.id, 25)
    by = delivering(engine, SLOW)
    receiver.answer = lambda received: 500 if str(bill.id) in received.id else 200
    by.round(endpoint.id, origin)
    assert waiting(engine, endpoint, bill.id) == 10
    assert receiver.order()[f"evt_{other.id}"] == list(range(1, 27))

    # What happens meanwhile waits behind the rest.
    logged(engine, bill.id, 7)
    by.round(endpoint.id, origin)
    assert waiting(engine, endpoint, bill.id) == 10
    receiver.answer = lambda _: 200
    later(engine, timedelta(hours=1))
    rounds(by, endpoint, origin)

    assert receiver.order()[f"evt_{bill.id}"] == list(range(1, 69))
    assert webhook_log.pending(engine, endpoint.id) == 0
    logged(engine, bill.id, 1)
    rounds(by, endpoint, origin)
    assert receiver.order()[f"evt_{bill.id}"][-1] == 69
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM webhook_backlogs")).scalar_one() == 0


def test_many_stuck_bills_that_hang_keep_no_new_one_waiting(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver
) -> None:
    """Of what failed before only four are tried at once."""
    endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.created",))
    stuck = [open_bill().id for _ in range(20)]
    by = delivering(engine, Patience(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=1)))
    receiver.answer = lambda _: 500
    webhook_backlog.fill(engine, endpoint.id, give_up_after=timedelta(days=3))
    while any(chain[0].tries == 0 for chain in webhook_queue.due(engine, endpoint.id)):
        by.round(endpoint.id, origin, for_s=1)
        later(engine, timedelta(hours=1))
    hanging = {str(id_) for id_ in stuck}
    began: dict[str, float] = {}

    def answer(received: Received) -> int | None:
        began.setdefault(received.id, time.monotonic())
        return None if received.event["subject"]["id"] in hanging else 200

    receiver.answer = answer
    fresh = [open_bill().id for _ in range(4)]
    start = time.monotonic()
    by.round(endpoint.id, origin, for_s=3)

    # A second is what a hanging receiver is waited for here; all twenty would take five for four at once.
    assert all(began[event_id(id_, 1)] - start < 0.9 for id_ in fresh)
    assert set(receiver.accepted) >= {event_id(id_, 1) for id_ in fresh}


def test_of_those_that_are_due_new_ones_and_failed_ones_take_turns(
    engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.created",))
    monkeypatch.setattr(webhook_queue, "BILLS_AT_ONCE", 3)
    old = [open_bill().id for _ in range(6)]
    webhook_backlog.fill(engine, endpoint.id, give_up_after=timedelta(days=3))
    with engine.begin() as connection:
        connection.execute(text("UPDATE webhook_deliveries SET tries = 1"))
    new = [open_bill().id for _ in range(6)]
    webhook_backlog.fill(engine, endpoint.id, give_up_after=timedelta(days=3))

    due = {chain[0].subject_id for chain in webhook_queue.due(engine, endpoint.id)}

    assert due == {*old[:3], *new[:3]}


class TestAgain:
    @pytest.fixture
    def bill_id(
        self,
        engine: Engine,
        origin: Origin,
        open_bill: OpenBill,
        receiver: WebhookReceiver,
        endpoint: WebhookEndpoint,
        monkeypatch: pytest.MonkeyPatch,
    ) -> UUID:
        """A bill of which 61 events were sent, some at a time."""
        monkeypatch.setattr(webhook_backlog, "LOOKED_THROUGH", 20)
        monkeypatch.setattr(webhook_backlog, "MOST_PENDING_TO_SEND_AGAIN", 30)
        bill = open_bill()
        logged(engine, bill.id, 60)
        rounds(delivering(engine), endpoint, origin)
        assert receiver.order()[f"evt_{bill.id}"] == list(range(1, 62))
        receiver.received.clear()
        return bill.id

    def versions(self, receiver: WebhookReceiver, bill_id: UUID) -> list[int]:
        return [received.version for received in receiver.received if str(bill_id) in received.id]

    def test_a_range_is_queued_bit_by_bit_and_sent_in_order(
        self, engine: Engine, origin: Origin, receiver: WebhookReceiver, endpoint: WebhookEndpoint, bill_id: UUID
    ) -> None:
        asked = redelivery.redeliver(engine, origin, endpoint.id, Range(LONG_AGO))
        assert asked.queued == standing(engine, endpoint.id)["delivered"] == 62  # with its customer's
        webhook_backlog.fill(engine, endpoint.id, give_up_after=timedelta(days=3))
        assert standing(engine, endpoint.id)["pending"] == 20

        rounds(delivering(engine), endpoint, origin)

        assert self.versions(receiver, bill_id) == list(range(1, 62))
        assert set(standing(engine, endpoint.id)) == {"delivered"}

    def test_a_repeat_says_the_same_also_when_all_was_sent(
        self, engine: Engine, origin: Origin, receiver: WebhookReceiver, endpoint: WebhookEndpoint, bill_id: UUID
    ) -> None:
        asking = keyed(origin)
        first = redelivery.redeliver(engine, asking, endpoint.id, Range(LONG_AGO))
        repeated = redelivery.redeliver(engine, asking, endpoint.id, Range(LONG_AGO))
        rounds(delivering(engine), endpoint, origin)
        later_on = redelivery.redeliver(engine, asking, endpoint.id, Range(LONG_AGO))
        rounds(delivering(engine), endpoint, origin)

        assert (first.replayed, repeated.replayed, later_on.replayed) == (False, True, True)
        assert first.queued == repeated.queued == later_on.queued > 60
        assert self.versions(receiver, bill_id) == list(range(1, 62))

    def test_what_was_sent_since_it_was_asked_for_has_had_its_turn(
        self, engine: Engine, origin: Origin, receiver: WebhookReceiver, endpoint: WebhookEndpoint, bill_id: UUID
    ) -> None:
        for _ in range(2):
            redelivery.redeliver(engine, origin, endpoint.id, Range(LONG_AGO))
        rounds(delivering(engine), endpoint, origin)

        assert self.versions(receiver, bill_id) == list(range(1, 62))

    def test_what_is_new_meanwhile_waits_for_none_of_it(
        self, engine: Engine, origin: Origin, open_bill: OpenBill, receiver: WebhookReceiver, endpoint: WebhookEndpoint,
        bill_id: UUID,
    ) -> None:  # fmt: skip
        receiver.answer = lambda received: 500 if str(bill_id) in received.id else 200
        redelivery.redeliver(engine, origin, endpoint.id, Range(LONG_AGO))
        new = open_bill()
        by = delivering(engine, SLOW)
        by.round(endpoint.id, origin)
        by.round(endpoint.id, origin)

        assert event_id(new.id, 1) in receiver.accepted
        assert waiting(engine, endpoint, bill_id) <= 31

        receiver.answer = lambda _: 200
        later(engine, timedelta(hours=1))
        rounds(by, endpoint, origin)
        assert [n for n in self.versions(receiver, bill_id) if n > 1] == list(range(2, 62))

    def test_a_pause_keeps_the_wish(
        self, engine: Engine, origin: Origin, receiver: WebhookReceiver, endpoint: WebhookEndpoint, bill_id: UUID
    ) -> None:
        webhook_endpoints.pause(engine, origin, endpoint.id)
        redelivery.redeliver(engine, origin, endpoint.id, Range(LONG_AGO))
        assert delivering(engine).round(endpoint.id, origin).is_over
        assert receiver.received == []
        webhook_endpoints.resume(engine, origin, endpoint.id)
        rounds(delivering(engine), endpoint, origin)
        assert self.versions(receiver, bill_id) == list(range(1, 62))


def test_deleted_it_is_gone_at_once_and_its_deliveries_bit_by_bit(
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    receiver: WebhookReceiver,
    endpoint: WebhookEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_removal, "AT_ONCE", 20)
    logged(engine, open_bill().id, 50)
    rounds(delivering(engine), endpoint, origin)
    kept, _ = made_endpoint(engine, origin, receiver.url)
    open_bill()
    rounds(delivering(engine), kept, origin)
    webhook_removal.remove(engine, origin, endpoint.id)

    assert [one.id for one in webhook_endpoints.every(engine)] == [kept.id]
    with pytest.raises(webhook_endpoints.WebhookEndpointNotFound):
        webhook_endpoints.by_id(engine, endpoint.id)
    with pytest.raises(webhook_endpoints.WebhookEndpointNotFound):
        webhook_removal.remove(engine, origin, endpoint.id)
    left = [sum(standing(engine, endpoint.id).values())]
    while webhook_removal.clear(engine):
        left.append(sum(standing(engine, endpoint.id).values()))
    assert left == [52, 32, 12, 0]
    assert sum(standing(engine, kept.id).values()) == 2

    # Its row stays until its workflow has heard of it.
    assert stored(engine) == 2
    assert endpoint.id in [one.id for one in webhook_queue.unattended(engine) if one.is_overdue]
    assert delivering(engine).round(endpoint.id, origin).is_over
    webhook_removal.clear(engine)
    assert stored(engine) == 1


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM webhook_endpoints")).scalar_one()


@pytest.fixture(autouse=True)
def _none_left(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_endpoints"))
