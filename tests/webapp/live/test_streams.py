"""A bill's stream, read as its browser reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask, Response
from sqlalchemy import Engine, text

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import BillNotFound
from billing.ledger import bills, closing, line_items
from billing.origin import Origin
from billing.settings import DEFAULT_CURRENCIES
from tests.support.ledger import OpenBill
from webapp.live import streams
from webapp.live.streams import stream

CHANGED_WITHIN_S = 1.0


@pytest.fixture
def add(engine: Engine, origin: Origin) -> Callable[[Bill], LineItem]:
    def add_(bill: Bill) -> LineItem:
        draft = LineItemDraft.parse("Fee", "1", "1", "USD", offered=DEFAULT_CURRENCIES)
        return line_items.add(engine, origin, bill.id, draft)[1]

    return add_


@pytest.fixture
def opened(app: Flask) -> Iterator[Callable[..., Response]]:
    """Opens streams, and ends them with the test."""
    answers: list[Response] = []
    system = app.extensions["pave"]

    def open_(bill: Bill, *, viewer: str = "somebody", per_viewer: int = 2, **more) -> Response:
        with app.test_request_context():
            answers.append(stream(system, bill.id, viewer=viewer, per_viewer=per_viewer, **more))
        return answers[-1]

    yield open_
    for answer in answers:
        answer.close()
    assert system.live.count() == 0


def messages(answer: Response) -> Iterator[tuple[str, str]]:
    """Event and data of each message, but for the one that only says how soon to come again."""
    for part in answer.response:
        lines = dict(line.split(":", 1) for line in part.rstrip("\n").split("\n"))
        if "event" in lines:
            yield lines["event"].strip(), lines["data"].strip()


def test_it_begins_with_the_version_and_tells_of_each_change_within_a_second(opened, open_bill: OpenBill, add):
    bill = open_bill()
    heard = messages(opened(bill))
    assert next(heard) == ("change", "1")
    for version in ("2", "3"):
        add(bill)
        began_s = time.monotonic()
        assert next(heard) == ("change", version)
        assert time.monotonic() - began_s < CHANGED_WITHIN_S


def test_changes_of_other_bills_are_none_of_its_business(opened, open_bill: OpenBill, add, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_S", 1.5)
    bill, other = open_bill(), open_bill()
    heard, beside = messages(opened(bill)), messages(opened(other))
    assert (next(heard), next(beside)) == (("change", "1"), ("change", "1"))
    add(other)
    assert next(beside) == ("change", "2")
    assert next(heard) == ("alive", "")


def test_new_rates_are_a_change(opened, open_bill: OpenBill, engine: Engine):
    bill = open_bill()
    heard = messages(opened(bill))
    assert next(heard) == ("change", "1")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO rate_snapshots"
                " (id, provider, base, provider_time, fetched_at, rates, sample, state, accepted_at)"
                " SELECT gen_random_uuid(), provider, base, provider_time, now(), rates, sample, 'accepted', now()"
                " FROM rate_snapshots WHERE sample LIMIT 1"
            )
        )
    assert next(heard) == ("change", "1")


def test_closing_is_the_last_it_tells_and_a_closed_bill_has_no_stream(opened, open_bill: OpenBill, engine, origin):
    bill = open_bill()
    heard = messages(opened(bill))
    assert next(heard) == ("change", "1")
    bills.request_close(engine, origin, bill.id)
    assert next(heard) == ("change", "2")
    closing.close_bill(engine, origin, bill.id, samples=True)
    assert list(heard) == [("change", "3")]
    assert opened(bill).status_code == 204


def test_a_viewer_with_its_share_is_refused_at_once_and_without_a_word(opened, open_bill: OpenBill):
    bill = open_bill()
    opened(bill), opened(bill)
    began_s = time.monotonic()
    refused = opened(bill)
    assert (refused.status_code, refused.get_data(), refused.headers["Retry-After"]) == (429, b"", "20")
    assert time.monotonic() - began_s < 0.1
    assert opened(bill, viewer="somebody else").status_code == 200


def test_half_of_the_threads_are_never_taken_by_streams(opened, open_bill: OpenBill, app: Flask):
    bill = open_bill()
    half = app.extensions["pave"].config.web_threads // 2
    answers = [opened(bill, viewer=str(n)).status_code for n in range(half + 1)]
    assert answers == [200] * half + [429]


def test_a_place_is_free_again_once_a_stream_has_ended(opened, open_bill: OpenBill):
    bill = open_bill()
    answers = [opened(bill), opened(bill)]
    answers[0].close()
    assert opened(bill).status_code == 200


def test_who_may_no_longer_watch_hears_no_more(opened, open_bill: OpenBill, monkeypatch):
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.5)
    admitted = [True, True, False]
    heard = messages(opened(open_bill(), may_watch=lambda: admitted.pop(0)))
    assert list(heard) == [("change", "1")]
    assert admitted == []


def test_nobody_is_let_in_for_longer_than_the_next_question(opened, open_bill: OpenBill, monkeypatch):
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.5)
    assert list(messages(opened(open_bill()))) == [("change", "1")]
    assert streams.ASK_AGAIN_S <= 10


def test_there_is_no_stream_of_what_is_no_bill_and_no_place_is_lost(opened, app: Flask, open_bill: OpenBill):
    bill = open_bill()
    nothing = Bill.__new__(Bill)
    object.__setattr__(nothing, "id", uuid4())
    with pytest.raises(BillNotFound):
        opened(nothing)
    assert app.extensions["pave"].live.count() == 0
    assert opened(bill).status_code == 200


def test_streams_hold_no_connection_of_the_pool(opened, open_bill: OpenBill, app: Flask):
    heard = [messages(opened(open_bill(), viewer=str(n))) for n in range(5)]
    assert {next(one) for one in heard} == {("change", "1")}
    pool = app.extensions["pave"].engine.pool
    held = [pool.checkedout() for _ in range(20) if time.sleep(0.02) is None]
    assert min(held) == 0
    assert max(held) <= 1


def test_the_period_end_passes_through_unharmed(open_bill: OpenBill, app: Flask):
    bill = open_bill(ends_in=timedelta(days=3))
    standing = app.extensions["pave"].live.standing(bill.id)
    assert standing.period_end == bill.period.end > datetime.now(UTC)
