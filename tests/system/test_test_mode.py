"""Test mode on the real thing: two months in seconds, by the path that real time takes; live bills see none of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import requests
from sqlalchemy import text

from billing.clock import rfc3339
from billing.money import plain
from embedded.temporal import Temporal
from tests.support.agreement import Staff
from tests.support.imports import NDJSON, ndjson, row
from tests.support.integrator import HUNG, Integrator
from tests.support.stack import Stack, without_temporal
from tests.support.webhook_receiver import WebhookReceiver
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import LIVE_ONLY, Scope

TWO_MONTHS = timedelta(days=61)


@pytest.fixture
def tester(stack: Stack) -> Iterator[Integrator]:
    caller = Integrator(stack.url, api_keys.create(stack.engine, name=uuid4().hex, role=Role.OPERATOR, test=True))
    yield caller
    caller.close()


def clock(tester: Integrator, bill_id: str, to: datetime) -> dict[str, object]:
    answer = tester.post(f"/bills/{bill_id}/clock", {"now": rfc3339(to)}, str(uuid4()))
    assert answer.ok, answer.text
    bill: dict[str, object] = answer.json()["data"]
    return bill


def end_of(tester: Integrator, bill_id: str) -> datetime:
    return datetime.fromisoformat(tester.bill(bill_id)["period_end"])


def test_a_bill_of_two_months_closes_in_seconds(stack: Stack, tester: Integrator) -> None:
    began_s = time.monotonic()
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    end = end_of(tester, bill_id)
    first = tester.added(bill_id)
    clock(tester, bill_id, end - timedelta(days=30))
    second = tester.added(bill_id)
    answered = clock(tester, bill_id, end)
    closed = tester.bill_when(bill_id, "closed", within_s=20)
    took_s = time.monotonic() - began_s

    assert took_s < 20
    assert answered["status"] in {"open", "closed"}
    assert (closed["close_reason"], closed["effective_at"]) == ("period_end", rfc3339(end))
    assert datetime.fromisoformat(closed["closed_at"]) >= end
    assert closed["total"]["by_currency"] == {"GEL": "7.2"}
    assert closed["rates"]["frozen"]
    between = datetime.fromisoformat(second["created_at"]) - datetime.fromisoformat(first["created_at"])
    assert timedelta(days=30) < between < timedelta(days=32)
    events = [event["type"] for event in tester.get(f"/bills/{bill_id}/events").json()["data"]]
    assert events == ["bill.created", "line_items.added", "bill.clock_advanced", "line_items.added",
                      "bill.clock_advanced", "bill.closed"]  # fmt: skip
    assert tester.add(bill_id).json()["details"]["reason"] == "bill_closed"
    # Its workflow has done its part, and has ended.
    with stack.engine.connect() as connection:
        query = text("SELECT finished_at IS NOT NULL FROM pave_test.bill_workflows WHERE bill_id = :id")
        deadline = time.monotonic() + 60
        while not connection.execute(query, {"id": bill_id}).scalar_one():
            assert time.monotonic() < deadline
            connection.rollback()
            time.sleep(0.2)


def test_it_closes_by_the_sweep_when_temporal_is_down(stack: Stack, tester: Integrator, temporal: Temporal) -> None:
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    tester.added(bill_id)
    end = end_of(tester, bill_id)
    with without_temporal(temporal):
        answer = tester.post(f"/bills/{bill_id}/clock", {"now": rfc3339(end)}, "to-the-end")
        closed = tester.bill_when(bill_id, "closed", within_s=20)
        again = tester.post(f"/bills/{bill_id}/clock", {"now": rfc3339(end)}, "to-the-end")
    assert answer.status_code in {200, 202}
    assert closed["effective_at"] == rfc3339(end)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")


def test_what_was_added_before_the_end_is_on_the_bill_and_nothing_later(tester: Integrator) -> None:
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    end = end_of(tester, bill_id)

    def adding() -> int:
        added = 0
        while tester.add(bill_id).status_code == 200:
            added += 1
        return added

    with ThreadPoolExecutor(4) as threads:
        adders = [threads.submit(adding) for _ in range(4)]
        time.sleep(0.5)
        clock(tester, bill_id, end + timedelta(hours=1))
        added = sum(adder.result(30) for adder in adders)
    closed = tester.bill_when(bill_id, "closed", within_s=20)

    assert added == closed["item_count"] > 0
    assert closed["total"]["by_currency"] == {"GEL": plain(Decimal("3.6") * added)}
    assert all(datetime.fromisoformat(item["created_at"]) < end for item in closed["line_items"])


def test_a_close_by_hand_and_a_period_that_is_moved_go_by_the_bills_clock(tester: Integrator) -> None:
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    end = end_of(tester, bill_id)
    clock(tester, bill_id, end - timedelta(days=1))
    into_its_past = tester.post(f"/bills/{bill_id}/period", {"period_end": rfc3339(end - timedelta(days=2))})
    later = tester.post(f"/bills/{bill_id}/period", {"period_end": rfc3339(end + timedelta(days=30))})
    closed = tester.asked_to_close(bill_id)
    bill = tester.bill_when(bill_id, "closed", within_s=20)

    assert (into_its_past.status_code, into_its_past.json()["details"]["field"]) == (400, "period_end")
    assert later.status_code == 200
    assert closed.status_code in {200, 202}
    assert timedelta(0) <= datetime.fromisoformat(bill["effective_at"]) - (end - timedelta(days=1)) < timedelta(hours=1)
    assert bill["close_reason"] == "manual"


def test_an_item_asked_for_without_waiting_is_added_by_the_bills_clock(tester: Integrator) -> None:
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    end = end_of(tester, bill_id)
    clock(tester, bill_id, end - timedelta(minutes=10))
    asked = tester.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async")
    assert asked.status_code == 202
    deadline = time.monotonic() + 30
    while tester.bill(bill_id)["item_count"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (item,) = tester.bill(bill_id)["line_items"]
    assert datetime.fromisoformat(item["created_at"]) > end - timedelta(minutes=10)


def test_a_file_is_imported_by_the_bills_clock(stack: Stack, tester: Integrator, staff: Staff) -> None:
    """By a workflow, in a queue of test mode's own; people see it below `/test`."""
    bill_id = tester.opened(ends_in=TWO_MONTHS)
    end = end_of(tester, bill_id)
    clock(tester, bill_id, end - timedelta(minutes=10))
    headers = {**tester.headers, "Content-Type": NDJSON}
    content = ndjson([row()] * 1_500 + [row(currency="nonsense")])
    sent = requests.post(f"{tester.url}/imports?bill_id={bill_id}", content, headers=headers, timeout=20)
    assert sent.status_code == 202, sent.text
    address = f"/imports/{sent.json()['data']['id']}"
    deadline = time.monotonic() + 60
    while (one := tester.get(address).json()["data"])["state"] != "done":
        assert time.monotonic() < deadline, one
        time.sleep(0.1)
    assert (one["added"], one["rejected"]) == (1_500, 1)
    bill = tester.bill(bill_id)
    assert (bill["item_count"], bill["test"]) == (1_500, True)
    assert all(datetime.fromisoformat(item["created_at"]) > end - timedelta(minutes=10) for item in bill["line_items"])
    assert "Test mode" in staff.page(f"/test/bills/{bill_id}{address}").words
    assert staff.session.get(f"{stack.url}/bills/{bill_id}{address}", timeout=20).status_code == 404


def test_numbers_and_the_feed_of_live_bills_know_nothing_of_it(integrator: Integrator, tester: Integrator) -> None:
    live = integrator.opened()
    integrator.asked_to_close(live)
    before = integrator.bill_when(live, "closed")["number"]
    for _ in range(3):
        tried = tester.opened()
        tester.asked_to_close(tried)
        tester.bill_when(tried, "closed")
    live = integrator.opened()
    integrator.asked_to_close(live)
    after = integrator.bill_when(live, "closed")["number"]

    assert after == before + 1
    assert {event["test"] for event in integrator.get("/events?limit=100").json()["data"]} == {False}
    assert {event["test"] for event in tester.get("/events?limit=100").json()["data"]} == {True}


def test_webhooks_of_a_mode_are_told_of_that_mode_alone(stack: Stack) -> None:
    scopes = [scope for scope in Scope if scope not in LIVE_ONLY]
    callers = [
        Integrator(stack.url, api_keys.create(stack.engine, name="hooked", scopes=scopes, test=test))
        for test in (False, True)
    ]
    with WebhookReceiver() as live, WebhookReceiver() as tried:
        for caller, receiver in zip(callers, (live, tried), strict=True):
            made = caller.post("/webhook-endpoints", {"url": receiver.url, "types": ["bill.closed", "bill.created"]})
            assert made.ok, made.text
        bills = [caller.opened(ends_in=TWO_MONTHS) for caller in callers]
        mine = [f"evt_{bill_id}" for bill_id in bills]
        clock(callers[1], bills[1], end_of(callers[1], bills[1]))
        callers[0].asked_to_close(bills[0])
        deadline = time.monotonic() + 60
        while min(len(live.order().get(mine[0], [])), len(tried.order().get(mine[1], []))) < 2:
            assert time.monotonic() < deadline, (live.order(), tried.order())
            time.sleep(0.1)
        told = {receiver: (set(receiver.order()), {one.event["test"] for one in receiver.received})
                for receiver in (live, tried)}  # fmt: skip
    for caller in callers:
        caller.close()
    assert told == {live: ({mine[0]}, {False}), tried: ({mine[1]}, {True})}
