"""GET /events: the complete feed."""

from __future__ import annotations

import json
import threading
import time

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.support.api import Api
from webapp.identity import api_keys
from webapp.live import log_watch
from webapp.system import System


@pytest.fixture
def now(viewer: Api) -> str:
    """The position at the end of what is there."""
    after = ""
    while True:
        page = viewer.get(f"/events?limit=100{after}").json
        after = f"&after={page['next_after']}"
        if not page["has_more"]:
            return str(page["next_after"])


def types_of(page: dict) -> list[str]:
    return [event["type"] for event in page["data"]]


def test_all_that_happens_is_in_it_and_nothing_of_who_did_it(api: Api, viewer: Api, close, now: str):
    bill_id = api.opened("acme")
    item = api.added(bill_id, description="a private note")
    api.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "typed twice"}, X_Request_Id="trace-7")
    close(bill_id)

    answer = viewer.get(f"/events?after={now}")

    assert types_of(answer.json) == [
        "customer.created",
        "bill.created",
        "line_items.added",
        "line_item.reversed",
        "bill.close_requested",
        "bill.closed",
    ]
    assert not any(word in answer.text for word in ("ledger-sync", "trace-7", "private note", "typed twice", "actor"))
    added = answer.json["data"][2]
    assert added["id"] == f"evt_{bill_id}_2"
    assert added["subject"] == {"type": "bill", "id": bill_id, "customer_id": "acme"}
    assert added["data"] == {"first_position": 1, "last_position": 1, "totals": {"GEL": "3.6"}}


def test_each_event_says_where_to_go_on(api: Api, viewer: Api, now: str):
    bill_id = api.opened()
    api.added(bill_id)
    whole = viewer.get(f"/events?after={now}").json

    for place, event in enumerate(whole["data"]):
        assert viewer.get(f"/events?after={event['position']}").json["data"] == whole["data"][place + 1 :]
    assert viewer.get(f"/events?after={whole['next_after']}").json == {
        "data": [],
        "next_after": whole["next_after"],
        "has_more": False,
    }


def test_pages_and_types(api: Api, viewer: Api, now: str):
    bill_id = api.opened()
    for _ in range(3):
        api.added(bill_id)

    first = viewer.get(f"/events?after={now}&type=line_items.added,bill.created&limit=3").json
    rest = viewer.get(f"/events?after={first['next_after']}&type=line_items.added&limit=3").json

    assert types_of(first) == ["bill.created", "line_items.added", "line_items.added"]
    assert (first["has_more"], types_of(rest), rest["has_more"]) == (True, ["line_items.added"], False)


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("after=17", "after", "invalid_position"),
        ("after=", "after", "invalid_position"),
        ("type=user.created", "type", "unknown_event_type"),
        ("type=", "type", "unknown_event_type"),
        ("wait=31", "wait", "invalid_value"),
        ("wait=-1", "wait", "invalid_value"),
        ("limit=0", "limit", "invalid_value"),
        ("until=1", "until", "unknown_parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(viewer: Api, query: str, field: str, reason: str):
    answer = viewer.get(f"/events?{query}")

    assert answer.status_code == 400
    assert (answer.json["details"]["field"], answer.json["details"]["reason"]) == (field, reason)


class TestWaiting:
    def test_the_answer_comes_with_the_event(self, app: Flask, api: Api, viewer: Api, now: str):
        bill_id = api.opened()
        after = viewer.get(f"/events?after={now}").json["next_after"]
        adding = threading.Timer(0.5, lambda: Api(app.test_client(), api.key).added(bill_id))
        began = time.monotonic()
        adding.start()

        # An event of another type ends nobody's waiting.
        page = viewer.get(f"/events?after={after}&wait=20&type=line_items.added").json

        assert types_of(page) == ["line_items.added"]
        assert 0.4 < time.monotonic() - began < 5

    def test_without_an_event_it_is_empty_when_the_time_is_up(self, viewer: Api, now: str):
        began = time.monotonic()
        page = viewer.get(f"/events?after={now}&wait=1").json

        assert (page["data"], page["next_after"]) == ([], now)
        assert 0.9 < time.monotonic() - began < 5

    def test_other_types_end_no_waiting_and_are_passed_over(self, app: Flask, api: Api, viewer: Api, now: str):
        adding = threading.Timer(0.3, lambda: Api(app.test_client(), api.key).opened())
        adding.start()
        began = time.monotonic()

        page = viewer.get(f"/events?after={now}&wait=2&type=bill.closed").json

        adding.join()
        assert time.monotonic() - began > 1.9
        assert page["data"] == []
        assert page["next_after"] != now

    def test_no_connection_to_the_database_is_held(self, app: Flask, viewer: Api, now: str):
        system: System = app.extensions["pave"]
        with waiting(app, viewer, f"/events?after={now}&wait=20", 1):
            held = [system.engine.pool.checkedout() for _ in range(50) if not time.sleep(0.01)]
        assert min(held) == 0
        assert max(held) <= 1

    def test_over_the_bound_it_answers_at_once(self, app: Flask, viewer: Api, now: str):
        with waiting(app, viewer, f"/events?after={now}&wait=20", log_watch.PER_ACCOUNT):
            began = time.monotonic()
            assert viewer.get(f"/events?after={now}&wait=20").json["data"] == []
            assert time.monotonic() - began < 2

    def test_a_key_revoked_meanwhile_gets_nothing(self, app: Flask, engine: Engine, api: Api, now: str):
        answers: list = []
        key = api_keys.create(engine, name="leaver", role="viewer")
        reader = Api(app.test_client(), key)
        asking = threading.Thread(target=lambda: answers.append(reader.get(f"/events?after={now}&wait=20")))
        asking.start()
        time.sleep(0.3)
        (id_,) = (known.id for known in api_keys.every(engine) if known.name == "leaver")
        api_keys.revoke(engine, id_)
        api.opened()
        asking.join(10)
        assert answers[0].status_code == 401

    def test_it_ends_when_the_process_does(self, app: Flask, viewer: Api, now: str):
        live = app.extensions["pave"].live
        before = live.is_stopping
        with waiting(app, viewer, f"/events?after={now}&wait=20", 1) as answers:
            live.stop_when(lambda: True)
            began = time.monotonic()
        try:
            assert time.monotonic() - began < 2
            assert json.loads(answers[0]) == {"data": [], "next_after": now, "has_more": False}
        finally:
            live.stop_when(before)


class waiting:  # noqa: N801 - reads as one
    """Callers that wait meanwhile, and are let go at the end."""

    def __init__(self, app: Flask, viewer: Api, path: str, count: int) -> None:
        self._app, self._answers = app, []
        self._threads = [
            threading.Thread(target=lambda: self._answers.append(Api(app.test_client(), viewer.key).get(path).text))
            for _ in range(count)
        ]

    def __enter__(self) -> list[str]:
        for thread in self._threads:
            thread.start()
        time.sleep(0.5)
        return self._answers

    def __exit__(self, *_: object) -> None:
        live = self._app.extensions["pave"].live
        before = live.is_stopping
        live.stop_when(lambda: True)
        for thread in self._threads:
            thread.join(5)
        live.stop_when(before)
        assert not any(thread.is_alive() for thread in self._threads)
