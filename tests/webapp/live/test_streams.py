"""A bill's stream, read as its browser reads it, on a server whose connections can't be taken over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask, Response
from sqlalchemy import Engine, text

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import BillNotFound
from billing.identifiers import new_id
from billing.ledger import bills, closing, line_items, links
from billing.ledger.line_items import Entry
from billing.origin import Origin
from billing.settings import DEFAULT_CURRENCIES
from tests.support.ledger import OpenBill
from webapp.live import speaker
from webapp.live.admission import admitted
from webapp.live.streams import stream
from webapp.live.watches import Link, Session
from webapp.pages.followed import StaffView


@pytest.fixture
def add(engine: Engine, origin: Origin) -> Callable[[Bill], LineItem]:
    def add_(bill: Bill) -> LineItem:
        draft = LineItemDraft.parse("Fee", "1", "1", "USD", offered=DEFAULT_CURRENCIES)
        return line_items.add(engine, origin, bill.id, draft)[1]

    return add_


@pytest.fixture
def link_of(engine: Engine, origin: Origin) -> Callable[[Bill], Link]:
    """Somebody who may watch for as long as nobody revokes it."""
    return lambda bill: Link(links.create(engine, origin, bill.id)[0].id)


@pytest.fixture
def opened(app: Flask, link_of) -> Iterator[Callable[..., Response]]:
    """Opens streams, and ends them with the test."""
    answers: list[Response] = []
    system = app.extensions["pave"]

    def open_(bill: Bill, *, viewer: Link | None = None, per_viewer: int = 2) -> Response:
        view = StaffView(bill.id, "USD", False, system)
        with app.test_request_context():
            answers.append(stream(system.live, view, viewer=viewer or link_of(bill), per_viewer=per_viewer))
        return answers[-1]

    yield open_
    for answer in answers:
        answer.close()
    assert system.live.count() == 0


def messages(answer: Response) -> Iterator[tuple[str, dict[str, object]]]:
    """Event and data of each message, but for the one that only says how soon to come again."""
    for part in answer.response:
        lines = dict(line.split(":", 1) for line in part.decode().rstrip("\n").split("\n"))
        if "event" in lines:
            yield lines["event"].strip(), json.loads(lines["data"])


def news(heard: Iterator[tuple[str, dict[str, object]]]) -> dict[str, object]:
    """The next that isn't a heartbeat."""
    return next(said for event, said in heard if event == "news")


def test_it_begins_with_how_the_bill_stands_and_tells_of_each_change(opened, open_bill: OpenBill, add):
    bill = open_bill()
    heard = messages(opened(bill))
    event, said = next(heard)
    assert (event, said["version"]) == ("alive", 1)
    for version in (2, 3):
        item, before = add(bill), said["seen"]
        said = news(heard)
        assert (said["version"], said["from"]) == (version, before)
        assert str(item.id) in said["html"]


def test_changes_of_other_bills_are_none_of_its_business(opened, open_bill: OpenBill, add, monkeypatch):
    monkeypatch.setattr(speaker, "HEARTBEAT_S", 0.3)
    bill, other = open_bill(), open_bill()
    heard, beside = messages(opened(bill)), messages(opened(other))
    assert (next(heard)[0], next(beside)[0]) == ("alive", "alive")
    add(other)
    assert news(beside)["version"] == 2
    assert {next(heard)[1]["version"] for _ in range(3)} == {1}


def test_new_rates_are_news(opened, open_bill: OpenBill, engine: Engine):
    bill = open_bill()
    heard = messages(opened(bill))
    assert next(heard)[0] == "alive"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO rate_snapshots"
                " (id, provider, base, provider_time, fetched_at, rates, sample, state, accepted_at)"
                " SELECT gen_random_uuid(), provider, base, provider_time, now(), rates, sample, 'accepted', now()"
                " FROM rate_snapshots WHERE sample LIMIT 1"
            )
        )
    said = news(heard)
    assert said["seen"] != said["from"]


def test_many_lines_at_once_are_told_as_those_that_a_page_shows(opened, open_bill: OpenBill, engine, origin):
    bill = open_bill()
    heard = messages(opened(bill))
    next(heard)
    draft = LineItemDraft.parse("Fee", "1", "1", "USD", offered=DEFAULT_CURRENCIES)
    line_items.add_all(engine, origin, bill.id, [Entry(new_id(), draft, None, b"") for _ in range(1_000)])
    said = news(heard)
    assert said["html"].count("<tr id=") == 50
    assert len(said["html"]) < 100_000


def test_what_is_longer_than_a_page_would_ask_for_is_not_said(opened, open_bill: OpenBill, add, monkeypatch):
    monkeypatch.setattr("webapp.live.audience.LONGEST_WORDS_BYTES", 1_000)
    bill = open_bill()
    heard = messages(opened(bill))
    next(heard)
    add(bill)
    said = news(heard)
    assert "html" not in said
    assert said["within"] >= 0


def test_closing_is_the_last_it_tells_and_a_closed_bill_has_no_stream(opened, open_bill: OpenBill, engine, origin):
    bill = open_bill()
    heard = messages(opened(bill))
    next(heard)
    bills.request_close(engine, origin, bill.id)
    assert news(heard)["version"] == 2
    closing.close_bill(engine, origin, bill.id, samples=True)
    assert [said["version"] for event, said in heard if event == "news"] == [3]
    assert opened(bill).status_code == 204


def test_a_viewer_with_its_share_is_refused_at_once_and_without_a_word(opened, open_bill: OpenBill, link_of):
    bill = open_bill()
    viewer = link_of(bill)
    opened(bill, viewer=viewer), opened(bill, viewer=viewer)
    refused = opened(bill, viewer=viewer)
    assert (refused.status_code, refused.get_data(), refused.headers["Retry-After"]) == (429, b"", "20")
    assert opened(bill).status_code == 200


def test_half_of_the_threads_are_never_taken_by_streams(opened, open_bill: OpenBill, app: Flask, link_of):
    bill = open_bill()
    half, viewer = app.extensions["pave"].config.web_threads // 2, link_of(bill)
    answers = [opened(bill, viewer=viewer, per_viewer=1_000).status_code for _ in range(half + 1)]
    assert answers == [200] * half + [429]


def test_a_place_is_free_again_once_a_stream_has_ended(opened, open_bill: OpenBill, link_of):
    bill = open_bill()
    viewer = link_of(bill)
    answers = [opened(bill, viewer=viewer), opened(bill, viewer=viewer)]
    answers[0].close()
    assert opened(bill, viewer=viewer).status_code == 200


def test_who_may_no_longer_watch_hears_no_more(opened, open_bill: OpenBill, engine, origin, link_of):
    bill = open_bill()
    viewer = link_of(bill)
    heard = messages(opened(bill, viewer=viewer))
    assert next(heard)[0] == "alive"
    links.revoke(engine, origin, bill.id, viewer.id)
    assert {event for event, _ in heard} <= {"news", "alive"}
    assert speaker.ADMIT_EVERY_S <= 10


def test_of_those_that_watch_only_who_may_is_admitted(engine: Engine, open_bill: OpenBill, link_of):
    link = link_of(open_bill())
    assert admitted(engine, {link, Link(uuid4()), Session(UUID(int=1), "viewer")}) == {link}


def test_there_is_no_stream_of_what_is_no_bill_and_no_place_is_lost(opened, app: Flask, open_bill: OpenBill, link_of):
    bill = open_bill()
    nothing = Bill.__new__(Bill)
    object.__setattr__(nothing, "id", uuid4())
    with pytest.raises(BillNotFound):
        opened(nothing, viewer=link_of(bill))
    assert app.extensions["pave"].live.count() == 0
    assert opened(bill).status_code == 200


def test_streams_hold_no_connection_of_the_pool(opened, open_bill: OpenBill, app: Flask):
    heard = [messages(opened(open_bill())) for _ in range(5)]
    assert {next(one)[0] for one in heard} == {"alive"}
    pool = app.extensions["pave"].engine.pool
    held = [pool.checkedout() for _ in range(20) if time.sleep(0.02) is None]
    assert min(held) == 0
    assert max(held) <= 1


def test_the_period_end_passes_through_unharmed(open_bill: OpenBill, app: Flask):
    bill = open_bill(ends_in=timedelta(days=3))
    standing = app.extensions["pave"].live.standing(bill.id)
    assert standing.period_end == bill.period.end > datetime.now(UTC)
