"""Test keys and live keys: what is of the one mode isn't there in the other, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from billing.clock import rfc3339
from billing.errors import InvalidArgument
from billing.ledger import closing
from billing.ledger.database import transaction
from billing.origin import by_the_system
from tests.support import rates_history
from tests.support.api import HUNG, Api, bill_body, in_days
from tests.support.imports import imported, ndjson, row
from webapp.api.contract import document, operation
from webapp.api.contract.fields import examples_of
from webapp.config import Config
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import LIVE_ONLY, Scope

NOBODYS = "0199d3a0-5c1e-7a40-8f0e-5d1c2b3a4f50"
EVERYTHING = [scope for scope in Scope if scope not in LIVE_ONLY]


@pytest.fixture
def test_engine(app: Flask) -> Engine:
    return app.extensions["pave"].of_test_mode.engine


@pytest.fixture
def both(client: FlaskClient, engine: Engine) -> tuple[Api, Api]:
    """A live and a test caller of one account, who may do all that test keys may."""
    live = api_keys.create(engine, name="both", scopes=EVERYTHING)
    test = api_keys.create(engine, name="both", scopes=EVERYTHING, test=True)
    return Api(client, live), Api(client, test)


def without_request_id(answer: TestResponse) -> dict[str, object]:
    body = answer.json
    body["details"].pop("request_id")
    return {"status": answer.status_code, **body}


class TestWalls:
    @pytest.mark.parametrize("way", ["a live key at a test bill", "a test key at a live bill"])
    def test_every_call_about_a_bill_of_the_other_mode_answers_as_for_one_that_isnt_there(
        self, app: Flask, both: tuple[Api, Api], way: str
    ):
        owner, stranger = both if way.startswith("a test key") else both[::-1]
        bill_id = owner.opened()
        item = owner.added(bill_id)["id"]
        request = owner.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async").json["data"]["id"]
        before = owner.bill(bill_id)
        asked = 0
        for rule in operation.rules(app):
            if "bill_id" not in rule.arguments:
                continue
            declared = operation.declared(app, rule.endpoint)
            assert declared is not None
            fields = declared.body.fields if declared.body else ()
            body = examples_of(fields, datetime.now(UTC).date()) if fields else None
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            answers = []
            for id_ in (bill_id, NOBODYS):
                path = document.path_of(rule).format(bill_id=id_, item_id=item, request_id=request)
                answers.append(without_request_id(stranger.call(method, path, body, {})))
            assert answers[0] == answers[1], rule
            assert (answers[0]["status"], answers[0]["details"]["reason"]) == (404, "bill_not_found"), rule
            asked += 1
        assert asked >= 11
        assert owner.bill(bill_id) == before

    def test_customers_of_one_name_are_two_and_each_mode_sees_its_own(self, both: tuple[Api, Api]):
        live, test = both
        name = f"customer {uuid4().hex}"
        assert live.post("/customers", {"id": name, "name": "Live Ltd"}).status_code == 200
        assert test.get(f"/customers/{name}").status_code == 404
        assert test.post("/customers", {"id": name, "name": "Trial Ltd"}).status_code == 200
        assert live.get(f"/customers/{name}").json["data"]["name"] == "Live Ltd"
        assert test.patch(f"/customers/{name}", {"name": "Tried Ltd"}).status_code == 200
        assert live.get(f"/customers/{name}").json["data"]["name"] == "Live Ltd"
        assert [one["name"] for one in test.get(f"/customers?q={name}").json["data"]] == ["Tried Ltd"]

    def test_lists_exports_and_the_feed_have_one_mode(self, both: tuple[Api, Api]):
        live, test = both
        mine, tried = live.opened(), test.opened()
        live.added(mine)
        test.added(tried)
        for caller, own, others in ((live, mine, tried), (test, tried, mine)):
            paths = ["/bills", "/bills?status=open", f"/bills?q={own}", "/exports/bills?format=ndjson",
                     "/exports/line-items?format=ndjson", "/exports/events?format=ndjson"]  # fmt: skip
            for path in paths:
                text = caller.get(path).text
                assert own in text, path
                assert others not in text, path
            last, found = "", ""
            while True:
                page = caller.get(f"/events?limit=100{last}").json
                found += str(page["data"])
                last = f"&after={page['next_after']}"
                if not page["has_more"]:
                    break
            assert own in found
            assert others not in found
            assert f"'test': {caller is not test}" not in found

    def test_an_idempotency_key_of_one_mode_is_unknown_in_the_other(self, both: tuple[Api, Api]):
        live, test = both
        body, key = bill_body(), str(uuid4())
        first = live.post("/bills", body, Idempotency_Key=key)
        tried = test.post("/bills", bill_body(), Idempotency_Key=key)
        assert tried.status_code == 200, "other values, and yet no conflict"
        assert "Idempotent-Replayed" not in tried.headers
        assert live.post("/bills", body, Idempotency_Key=key).json["data"]["id"] == first.json["data"]["id"]

    def test_a_reference_is_charged_once_in_each_mode(self, both: tuple[Api, Api]):
        customer, line = f"customer-{uuid4().hex}", {**HUNG, "source": "shop", "reference": "1"}
        outcomes = []
        for caller in both:
            path = f"/bills/{caller.opened(customer)}/line-items"
            outcomes += [caller.post(path, line).headers.get("Idempotent-Replayed") for _ in range(2)]
        assert outcomes == [None, "true"] * 2

    def test_webhook_endpoints_are_of_one_mode(self, both: tuple[Api, Api]):
        live, test = both
        made = test.post("/webhook-endpoints", {"url": "http://127.0.0.1:1/hook"})
        if made.status_code == 400:  # refused in this configuration: nothing to tell apart
            made = test.post("/webhook-endpoints", {"url": "https://93.184.216.34/hook"})
        id_ = made.json["data"]["id"]
        assert test.get(f"/webhook-endpoints/{id_}").status_code == 200
        assert live.get(f"/webhook-endpoints/{id_}").status_code == 404
        assert id_ not in live.get("/webhook-endpoints").text

    def test_a_cursor_of_one_mode_shows_nothing_of_it_in_the_other(self, both: tuple[Api, Api]):
        live, test = both
        mine = [live.opened() for _ in range(3)]
        tried = [test.opened() for _ in range(3)]
        cursor = live.get("/bills?limit=1").json["next_cursor"]
        text = test.get(f"/bills?limit=100&cursor={cursor}").text
        assert not any(bill_id in text for bill_id in mine)
        assert tried


class TestKeys:
    def test_its_text_says_what_it_is(self, both: tuple[Api, Api]):
        live, test = both
        assert test.key.startswith("pave_test_")
        assert not live.key.startswith("pave_test_")

    def test_it_opens_nothing_that_live_bills_share(self, engine: Engine, client: FlaskClient):
        with pytest.raises(InvalidArgument, match="a test key cannot have rates:write"):
            api_keys.create(engine, name="a", scopes=[Scope.RATES_WRITE], test=True)
        admin = Api(client, api_keys.create(engine, name="a", role=Role.ADMIN, test=True))
        assert admin.patch("/currencies", {"offered": ["USD"]}).json["details"]["reason"] == "scope_missing"
        assert admin.get("/rates").status_code == 200

    def test_it_is_bound_to_customers_of_test_mode(self, engine: Engine, client: FlaskClient, both: tuple[Api, Api]):
        live, test = both
        name = f"customer-{uuid4().hex}"
        live_bill = live.opened(name)
        with pytest.raises(InvalidArgument, match="no customer has the id"):
            api_keys.create(engine, name="bound", scopes=EVERYTHING, customers=[name], test=True)
        tried = test.opened(name)
        bound = Api(client, api_keys.create(engine, name="bound", scopes=EVERYTHING, customers=[name], test=True))
        assert bound.bill(tried)["test"]
        assert bound.get(f"/bills/{live_bill}").status_code == 404
        assert bound.get(f"/bills/{test.opened()}").status_code == 404
        assert [bill["id"] for bill in bound.get("/bills").json["data"]] == [tried]
        assert next(key.customers for key in api_keys.every(engine) if key.customers == (name,)) == (name,)

    def test_a_process_of_the_version_before_doesnt_know_it(self, engine: Engine, both: tuple[Api, Api]):
        """It would take it for a live one."""
        from webapp.identity.tokens import token_hash

        with engine.connect() as connection:
            hashes = {bytes(row[0]) for row in connection.exec_driver_sql("SELECT token_hash FROM api_keys")}
        live, test = both
        assert token_hash(live.key) in hashes
        assert token_hash(test.key) not in hashes

    def test_there_is_no_api_below_the_prefix_of_the_pages(self, client: FlaskClient, both: tuple[Api, Api]):
        live, _ = both
        assert client.get("/test/api/v1/bills", headers=live.credentials).status_code == 404


class TestBills:
    def test_it_says_so(self, both: tuple[Api, Api]):
        live, test = both
        assert test.bill(test.opened())["test"] is True
        assert live.bill(live.opened())["test"] is False

    def test_numbers_are_apart_and_without_gaps(self, both: tuple[Api, Api], test_engine: Engine, close):
        live, test = both
        first = live.opened()
        close(first)
        tried = [test.opened() for _ in range(3)]
        for bill_id in tried:
            test.post(f"/bills/{bill_id}/close")
            closing.close_bill(test_engine, by_the_system("test"), UUID(bill_id), samples=True)
        second = live.opened()
        close(second)
        assert live.bill(second)["number"] == live.bill(first)["number"] + 1
        numbers = [test.bill(bill_id)["number"] for bill_id in tried]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        assert f"TEST-{numbers[0]}" in test.get("/exports/bills?format=csv").text
        assert "TEST-" not in live.get("/exports/bills?format=csv").text


class TestClock:
    def test_it_goes_forward_and_items_have_its_time(self, tester: Api):
        bill_id = tester.opened()
        to = in_days(10)
        answer = tester.post(f"/bills/{bill_id}/clock", {"now": to})
        assert answer.status_code == 200
        assert float(answer.json["data"]["clock_ahead_seconds"]) == pytest.approx(864_000, abs=60)
        item = tester.added(bill_id)
        assert timedelta(0) <= instant(item["created_at"]) - instant(to) < timedelta(minutes=1)
        (batched,) = tester.post(f"/bills/{bill_id}/line-items/batch", {"line_items": [HUNG]}).json["outcomes"]
        assert instant(batched["line_item"]["created_at"]) >= instant(item["created_at"])
        reversed_ = tester.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "mistake"})
        assert instant(reversed_.json["line_item"]["created_at"]) >= instant(item["created_at"])
        assert instant(tester.added(tester.opened())["created_at"]) < instant(to), "another bill's clock is its own"

    def test_from_its_end_on_nothing_is_taken(self, tester: Api, test_engine: Engine):
        bill_id = tester.opened()
        end = instant(tester.bill(bill_id)["period_end"])
        answer = tester.post(f"/bills/{bill_id}/clock", {"now": end.isoformat()})
        assert answer.status_code == 202, "nothing closes it here: there is no worker"
        for path, body in (("line-items", HUNG), ("period", {"period_end": in_days(300)})):
            assert tester.post(f"/bills/{bill_id}/{path}", body).json["details"]["reason"] == "period_ended"
        (row,) = tester.post(f"/bills/{bill_id}/line-items/batch", {"line_items": [HUNG]}).json.get("outcomes", [None])
        assert row is None or row["outcome"] == "rejected"
        assert UUID(bill_id) in due(test_engine)
        closed = tester.bill(bill_id)
        assert (closed["status"], closed["close_reason"]) == ("closed", "period_end")
        assert instant(closed["effective_at"]) == end

    def test_only_that_bill_is_due(self, tester: Api, test_engine: Engine):
        bills = [tester.opened() for _ in range(2)]
        tester.post(f"/bills/{bills[0]}/clock", {"now": tester.bill(bills[0])["period_end"]})
        found = due(test_engine)
        assert (UUID(bills[0]) in found, UUID(bills[1]) in found) == (True, False)

    @pytest.mark.parametrize(("days", "message"), [(-0.001, "only goes forward"), (31.001, "more than a day after")])
    def test_it_goes_neither_back_nor_far_beyond_the_end(self, tester: Api, days: float, message: str):
        bill_id = tester.opened()
        before = tester.bill(bill_id)
        answer = tester.post(f"/bills/{bill_id}/clock", {"now": in_days(days)})
        assert (answer.status_code, answer.json["details"]["field"]) == (400, "now")
        assert message in answer.json["message"]
        assert tester.bill(bill_id) == before

    def test_a_live_bill_has_none(self, api: Api):
        bill_id = api.opened()
        before = api.bill(bill_id)
        answer = api.post(f"/bills/{bill_id}/clock", {"now": in_days(1)})
        assert (answer.status_code, answer.json["code"]) == (400, "failed_precondition")
        assert answer.json["details"]["reason"] == "bill_is_live"
        assert api.bill(bill_id) == before

    def test_a_closed_bill_stays_as_it_is(self, tester: Api, test_engine: Engine):
        bill_id = tester.opened()
        tester.post(f"/bills/{bill_id}/close")
        closing_ = tester.post(f"/bills/{bill_id}/clock", {"now": in_days(1)})
        closing.close_bill(test_engine, by_the_system("test"), UUID(bill_id), samples=True)
        closed = tester.post(f"/bills/{bill_id}/clock", {"now": in_days(1)})
        reasons = [answer.json["details"]["reason"] for answer in (closing_, closed)]
        assert reasons == ["bill_closing", "bill_closed"]

    def test_rates_that_were_fresh_when_it_closed_are_no_stale_ones(
        self, make_app: Callable[[Config], Flask], config: Config, engine: Engine, tester: Api
    ):
        """Rates go by everybody's clock: a bill that is two months ahead has got today's."""
        app = make_app(replace(config, settings=replace(config.settings, oxr_app_id="an app id")))
        with_provider = Api(app.test_client(), tester.key)
        rates_history.store(engine, {"GEL": "2.7"})
        bill_id = with_provider.opened()
        with_provider.added(bill_id)
        end = with_provider.bill(bill_id)["period_end"]
        assert with_provider.post(f"/bills/{bill_id}/clock", {"now": end}).status_code in {200, 202}
        tried = app.extensions["pave"].of_test_mode.engine
        closing.close_due(tried, by_the_system("test"), limit=1_000, samples=False)
        closed = with_provider.bill(bill_id)
        rates = with_provider.get(f"/bills/{bill_id}/explain").json["data"]["rates"]
        assert (closed["status"], closed["effective_at"]) == ("closed", end)
        assert (closed["rates"]["stale"], rates["stale"]) == (False, False)
        assert abs(instant(rates["as_of"]) - datetime.now(UTC)) < timedelta(minutes=5)

    def test_an_import_goes_by_it(self, tester: Api, test_engine: Engine):
        ahead, other = tester.opened(), tester.opened()
        end = instant(tester.bill(ahead)["period_end"])
        to = end - timedelta(hours=1)
        tester.post(f"/bills/{ahead}/clock", {"now": rfc3339(to)})
        began = datetime.now(UTC)
        done = imported(tester, test_engine, ndjson([row(bill_id=ahead), row(bill_id=other)]))
        (item,) = tester.bill(ahead)["line_items"]
        (of_now,) = tester.bill(other)["line_items"]
        assert to <= instant(item["created_at"]) < end
        assert abs(instant(of_now["created_at"]) - began) < timedelta(minutes=5)
        assert abs(instant(done["started_at"]) - began) < timedelta(minutes=5)
        # Nobody has closed it yet.
        with transaction(test_engine) as connection:
            connection.execute(
                text("UPDATE bills SET clock_ahead = clock_ahead + interval '2 hours' WHERE id = :id"), {"id": ahead}
            )
        late = imported(tester, test_engine, ndjson([row()]), ahead)
        assert [one["reason"] for one in late["report"]] == ["period_ended"]

    def test_a_request_for_what_was_added_before_is_decided_by_it(self, tester: Api):
        bill_id = tester.opened()
        tester.post(f"/bills/{bill_id}/clock", {"now": in_days(20)})
        path = f"/bills/{bill_id}/line-items"
        tester.post(path, HUNG, Idempotency_Key="once")
        request = tester.post(path, HUNG, Idempotency_Key="once", Prefer="respond-async").json["data"]
        assert request["state"] == "added"
        assert instant(request["decided_at"]) - instant(request["created_at"]) > timedelta(days=19)

    def test_its_key_makes_it_safe_to_repeat(self, tester: Api):
        bill_id = tester.opened()
        body = {"now": in_days(2)}
        first = tester.post(f"/bills/{bill_id}/clock", body, Idempotency_Key="two days")
        again = tester.post(f"/bills/{bill_id}/clock", body, Idempotency_Key="two days")
        other = tester.post(f"/bills/{bill_id}/clock", {"now": in_days(3)}, Idempotency_Key="two days")
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json["data"]["version"] == first.json["data"]["version"]
        assert other.json["details"]["reason"] == "idempotency_key_reused"

    def test_it_has_an_event(self, tester: Api):
        bill_id, to = tester.opened(), in_days(1)
        tester.post(f"/bills/{bill_id}/clock", {"now": to})
        event = tester.get(f"/bills/{bill_id}/events").json["data"][-1]
        assert (event["type"], event["data"]["now"]) == ("bill.clock_advanced", to)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def due(test_engine: Engine) -> list[UUID]:
    """Closes what is due, as the sweep does."""
    return closing.close_due(test_engine, by_the_system("test"), limit=1_000, samples=True)


def test_calls_of_the_walls_are_all_there_are(app: Flask) -> None:
    """A call about a bill that isn't asked above would be one that `bill_id` doesn't name."""
    about_a_bill = [rule.rule for rule in operation.rules(app) if "/bills/<" in rule.rule]
    assert all("<bill_id>" in rule for rule in about_a_bill)
