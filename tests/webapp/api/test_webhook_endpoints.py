"""Webhook endpoints through the API: who may, what is refused, what is shown once, what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.clock import rfc3339
from billing.ledger import events, webhook_endpoints
from billing.origin import by_the_system
from billing.sealing import Seal
from tests.support.api import Api
from tests.support.network import Network
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhooks import delivering
from webapp.config import Config
from workflows.delivering import purpose

URL = "http://127.0.0.1:9009/hooks?token=a-password"
PATH = "/webhook-endpoints"


@pytest.fixture(scope="module")
def app(make_app: Callable[[Config], Flask], config: Config) -> Flask:
    """Where receivers may be anywhere, as in development."""
    return make_app(replace(config, settings=replace(config.settings, webhook_receivers_anywhere=True)))


@pytest.fixture
def strict(make_app: Callable[[Config], Flask], config: Config) -> FlaskClient:
    return make_app(config).test_client()


@pytest.fixture(autouse=True)
def _none_left(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_endpoints"))


def created(admin: Api, **values: object) -> dict:
    answer = admin.post(PATH, {"url": URL, **values})
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def test_the_secret_is_shown_once_and_stored_sealed(admin: Api, app: Flask, engine: Engine):
    made = created(admin)

    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["types"], made["status"]) == (URL, None, "active")
    assert made["secret"] not in admin.get(f"{PATH}/{made['id']}").text + admin.get(PATH).text
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT secret FROM webhook_endpoints")).scalar_one()
    assert made["secret"] not in stored
    seal = Seal(app.extensions["pave"].config.secret_key)
    assert seal.open(purpose(made["id"]), stored) == made["secret"]
    assert seal.open(purpose(uuid4()), stored) is None


def test_repeated_with_its_key_nothing_is_made_and_no_secret_shown(admin: Api):
    first = admin.post(PATH, {"url": URL}, Idempotency_Key="once")
    again = admin.post(PATH, {"url": URL}, Idempotency_Key="once")
    other = admin.post(PATH, {"url": URL, "types": ["bill.closed"]}, Idempotency_Key="once")

    assert again.json["data"] == {**first.json["data"], "secret": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json["details"]["reason"]) == (409, "idempotency_key_reused")
    assert len(admin.get(PATH).json["data"]) == 1


def test_a_repeat_asks_nobody_where_its_name_leads_by_now(admin: Api, monkeypatch: pytest.MonkeyPatch):
    asked = Network(monkeypatch)
    asked.names["hooks.example"] = ["127.0.0.1"]
    body = {"url": "http://hooks.example:9009/"}
    first = admin.post(PATH, body, Idempotency_Key="named")
    assert asked.looked_up == ["hooks.example"]
    asked.names.clear()

    again = admin.post(PATH, body, Idempotency_Key="named")

    assert again.json["data"] == {**first.json["data"], "secret": None}
    assert asked.looked_up == ["hooks.example"]
    assert admin.post(PATH, body, Idempotency_Key="another").status_code == 400
    admin.call("DELETE", f"{PATH}/{first.json['data']['id']}", None, {})
    assert admin.post(PATH, body, Idempotency_Key="named").status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "url", "required"),
        ({"url": 7}, "url", "required"),
        ({"url": "http://example.com/" + "x" * 2_048}, "url", "invalid_value"),
        ({"url": "http://exämple.com/"}, "url", "invalid_value"),
        ({"url": URL, "types": []}, "types", "invalid_value"),
        ({"url": URL, "types": "bill.closed"}, "types", "invalid_value"),
        ({"url": URL, "types": ["user.created"]}, "types", "unknown_event_type"),
        ({"url": URL, "types": [1]}, "types", "invalid_value"),
        ({"url": URL, "secret": "whsec_mine"}, "secret", "unknown_field"),
    ],
)
def test_what_makes_no_endpoint_is_refused(admin: Api, body: dict, field: str, reason: str):
    answer = admin.post(PATH, body)

    assert answer.status_code == 400
    assert (answer.json["details"]["field"], answer.json["details"]["reason"]) == (field, reason)
    assert admin.get(PATH).json["data"] == []


def test_outside_development_no_plain_http_and_no_own_machine(strict: FlaskClient, admin: Api):
    answer = Api(strict, admin.key).post(PATH, {"url": URL})
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "url")
    made = created(admin)
    answer = Api(strict, admin.key).patch(f"{PATH}/{made['id']}", {"url": "http://127.0.0.1:8008/"})
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "url")


def test_only_administrators(api: Api, viewer: Api, admin: Api):
    made = created(admin)
    for caller in (api, viewer):
        assert caller.get(PATH).status_code == 403
        assert caller.post(PATH, {"url": URL}).status_code == 403
        assert caller.get(f"{PATH}/{made['id']}/deliveries").status_code == 403
        assert caller.call("DELETE", f"{PATH}/{made['id']}", None, {}).status_code == 403


def test_an_unknown_one_is_not_found(admin: Api):
    for id_ in (uuid4(), "x"):
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "/deliveries"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/rotate-secret"),
        ):
            answer = admin.call(method, f"{PATH}/{id_}{path}", {} if method == "PATCH" else None, {})
            assert (answer.status_code, answer.json["details"]["reason"]) == (404, "webhook_endpoint_not_found")


def test_repeated_after_it_was_deleted_it_is_not_there_and_no_other_is_made(admin: Api):
    once = {"Idempotency-Key": str(uuid4())}
    made = admin.call("POST", PATH, {"url": URL}, once).json["data"]
    assert admin.call("DELETE", f"{PATH}/{made['id']}", None, {}).status_code == 204

    again = admin.call("POST", PATH, {"url": URL}, once)

    assert (again.status_code, again.json["details"]["reason"]) == (404, "webhook_endpoint_not_found")
    assert admin.get(PATH).json["data"] == []


def test_it_is_changed_paused_resumed_rotated_and_deleted_each_with_its_event(admin: Api, engine: Engine):
    made = created(admin, types=["bill.closed", "bill.created"])
    one = f"{PATH}/{made['id']}"
    assert made["types"] == ["bill.created", "bill.closed"]

    edited = admin.patch(one, {"url": "http://127.0.0.1:8008/other", "types": None, "expected_version": 1}).json["data"]
    assert (edited["url"], edited["types"], edited["version"]) == ("http://127.0.0.1:8008/other", None, 2)
    assert admin.patch(one, {"types": ["bill.closed"], "expected_version": 1}).json["details"]["reason"] == (
        "version_conflict"
    )
    assert admin.patch(one, {}).json["data"] == edited
    paused = admin.post(f"{one}/pause").json["data"]
    assert (paused["status"], paused["paused_reason"]) == ("paused", "by_hand")
    assert admin.post(f"{one}/pause").json["data"] == paused
    assert admin.post(f"{one}/resume").json["data"]["status"] == "active"
    rotated = admin.post(f"{one}/rotate-secret", None, Idempotency_Key="rotate").json["data"]
    assert rotated["secret"] not in {None, made["secret"]}
    until = datetime.fromisoformat(rotated["previous_secret_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=25)
    assert admin.post(f"{one}/rotate-secret", None, Idempotency_Key="rotate").json["data"]["secret"] is None
    assert admin.call("DELETE", one, None, {}).status_code == 204
    assert admin.get(one).status_code == 404

    told = events.of_subject(engine, UUID(made["id"]), after_version=0, limit=20)
    assert [event.type.removeprefix("webhook_endpoint.") for event in told] == [
        "created",
        "updated",
        "paused",
        "resumed",
        "secret_rotated",
        "deleted",
    ]
    assert {event.actor.name for event in told} == {"back office"}
    assert not any(word in str([event.data for event in told]) for word in ("whsec", "token", "a-password"))


def test_there_are_no_more_than_can_be_told(admin: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhook_endpoints, "MOST_ENDPOINTS", 2)
    created(admin)
    created(admin)
    answer = admin.post(PATH, {"url": URL})
    assert (answer.status_code, answer.json["details"]["reason"]) == (400, "too_many_webhook_endpoints")


class TestDeliveries:
    @pytest.fixture
    def sent(self, admin: Api, api: Api, engine: Engine) -> Iterator[tuple[str, str, WebhookReceiver]]:
        """An endpoint, a bill of which four events were sent to it, and who received them."""
        with WebhookReceiver() as receiver:
            made = created(admin, url=receiver.url, types=["bill.created", "line_items.added"])
            bill_id = api.opened()
            for _ in range(3):
                api.added(bill_id)
            self.deliver(engine, made["id"])
            assert len(receiver.accepted) == 4
            yield f"{PATH}/{made['id']}", bill_id, receiver

    def deliver(self, engine: Engine, id_: str) -> None:
        delivering(engine).round(UUID(id_), by_the_system("test"))

    def test_each_with_its_attempts_newest_first(self, admin: Api, sent):
        one, bill_id, _ = sent
        first = admin.get(f"{one}/deliveries?limit=3").json
        rest = admin.get(f"{one}/deliveries?limit=3&cursor={first['next_cursor']}").json
        found = first["data"] + rest["data"]
        assert [delivery["event_id"] for delivery in found] == [f"evt_{bill_id}_{n}" for n in (4, 3, 2, 1)]
        assert rest["next_cursor"] is None
        assert found[0]["status"] == "delivered"
        (attempt,) = found[0]["attempts"]
        assert (attempt["status"], attempt["excerpt"], attempt["error"]) == (200, "received", None)
        assert attempt["latency_ms"] >= 0
        assert admin.get(f"{one}/deliveries?status=failed").json["data"] == []
        assert admin.get(f"{one}/deliveries?status=lost").status_code == 400
        assert admin.get(one).json["data"]["pending"] == 0

    def test_one_or_all_since_are_sent_again(self, admin: Api, engine: Engine, sent):
        one, bill_id, receiver = sent
        id_ = one.rsplit("/", 1)[1]
        receiver.received.clear()
        again = {"event_id": f"evt_{bill_id}_2"}
        assert admin.post(f"{one}/redeliver", again, Idempotency_Key="a").json["data"] == {"queued": 1}
        self.deliver(engine, id_)
        repeated = admin.post(f"{one}/redeliver", again, Idempotency_Key="a")
        assert (repeated.json["data"], repeated.headers["Idempotent-Replayed"]) == ({"queued": 1}, "true")
        all_since = {"since": rfc3339(datetime.now(UTC) - timedelta(hours=1))}
        assert admin.post(f"{one}/redeliver", all_since, Idempotency_Key="b").json["data"] == {"queued": 4}
        self.deliver(engine, id_)
        repeated = admin.post(f"{one}/redeliver", all_since, Idempotency_Key="b")
        assert (repeated.json["data"], repeated.headers["Idempotent-Replayed"]) == ({"queued": 4}, "true")
        self.deliver(engine, id_)
        other = admin.post(f"{one}/redeliver", {**all_since, "only_failed": True}, Idempotency_Key="b")
        assert other.json["details"]["reason"] == "idempotency_key_reused"
        assert [received.version for received in receiver.received] == [2, 1, 2, 3, 4]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"event_id": "evt_1"},
            {"event_id": 7},
            {"since": "yesterday"},
            {"until": "2026-11-01T00:00:00Z"},
            {"only_failed": "no", "since": "2026-11-01T00:00:00Z"},
        ],
    )
    def test_what_names_no_event_is_refused(self, admin: Api, sent, body: dict):
        assert admin.post(f"{sent[0]}/redeliver", body).status_code == 400

    def test_an_event_it_was_never_sent_is_not_found(self, admin: Api, sent):
        answer = admin.post(f"{sent[0]}/redeliver", {"event_id": f"evt_{uuid4()}_1"})
        assert (answer.status_code, answer.json["details"]["reason"]) == (404, "webhook_delivery_not_found")
