from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine

from billing.ledger import requests
from tests.support.api import HUNG, Api
from webapp.api.recent_items import RecentItems


def filled(api: Api, count: int) -> str:
    bill_id = api.opened()
    rows = [{**HUNG, "description": f"item {n}"} for n in range(1, count + 1)]
    assert api.post(f"/bills/{bill_id}/line-items/batch", {"line_items": rows}).status_code == 200
    return bill_id


class TestItemsOfABill:
    def test_the_newest_hundred_are_shown_oldest_of_them_first(self, api: Api):
        bill_id = filled(api, 150)
        api.added(bill_id, description="the last")

        bill = api.bill(bill_id)

        assert [item["position"] for item in bill["line_items"]] == list(range(52, 152))
        assert bill["line_items"][-1]["description"] == "the last"
        assert bill["item_count"] == 151

    def test_the_cursor_leads_to_older_ones_until_there_are_none(self, api: Api):
        bill_id = filled(api, 150)

        newest = api.bill(bill_id)
        older = api.bill(bill_id, f"?cursor={newest['next_cursor']}")

        assert [item["position"] for item in older["line_items"]] == list(range(1, 51))
        assert older["next_cursor"] is None

    def test_a_bill_of_a_hundred_items_has_no_older_ones(self, api: Api):
        assert api.bill(filled(api, 100))["next_cursor"] is None

    def test_what_another_process_added_is_shown_too(self, api: Api, app: Flask):
        bill_id = filled(api, 3)
        ours, theirs = app.extensions["recent_items"], RecentItems()

        for n in range(1, 120):
            app.extensions["recent_items"] = ours if n % 3 else theirs
            answer = api.post(f"/bills/{bill_id}/line-items", {**HUNG, "description": f"more {n}"})
            assert answer.json["data"]["line_items"][-1] == answer.json["line_item"]

        app.extensions["recent_items"] = ours
        items = api.bill(bill_id)["line_items"]
        assert [item["position"] for item in items] == list(range(23, 123))
        listed = api.get(f"/bills/{bill_id}/line-items?limit=1").json["data"]
        assert listed[0]["position"] == 1

    def test_every_answer_counts_the_items_it_shows_while_many_are_added_at_once(self, api: Api, app: Flask):
        bill_id = filled(api, 95)

        def add(n: int) -> dict[str, object]:
            caller = Api(app.test_client(), api.key)
            return caller.post(f"/bills/{bill_id}/line-items", {**HUNG, "description": f"at once {n}"}).json["data"]

        with ThreadPoolExecutor(8) as pool:
            bills = list(pool.map(add, range(60)))

        for bill in bills:
            last = bill["item_count"]
            positions = [item["position"] for item in bill["line_items"]]
            assert positions == list(range(max(1, last - 99), last + 1))


class TestList:
    def test_items_are_listed_oldest_first_page_by_page(self, api: Api):
        bill_id = filled(api, 5)

        first = api.get(f"/bills/{bill_id}/line-items?limit=3").json
        second = api.get(f"/bills/{bill_id}/line-items?limit=3&cursor={first['next_cursor']}").json

        assert [item["position"] for item in first["data"] + second["data"]] == [1, 2, 3, 4, 5]
        assert second["next_cursor"] is None

    def test_a_cursor_of_another_bill_is_refused(self, api: Api):
        cursor = api.get(f"/bills/{filled(api, 2)}/line-items?limit=1").json["next_cursor"]

        answer = api.get(f"/bills/{filled(api, 2)}/line-items?cursor={cursor}")

        assert (answer.status_code, answer.json["details"]["field"]) == (400, "cursor")


class TestRefusedByTheBill:
    def test_a_closing_bill_takes_nothing(self, api: Api):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/close")

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG)

        assert answer.status_code == 400
        assert answer.json["code"] == "failed_precondition"
        assert answer.json["message"] == "bill is closed and cannot be modified"
        assert answer.json["details"]["reason"] == "bill_closing"

    def test_a_closed_bill_takes_nothing(self, api: Api, close):
        bill_id = api.opened()
        close(bill_id)

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG)

        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "bill_closed")

    def test_nothing_is_taken_after_the_periods_end(self, api: Api, end_period):
        bill_id = api.opened()
        end_period(bill_id)

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG)

        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "period_ended")


class TestReversal:
    def test_an_item_is_taken_back_by_another_that_says_why(self, api: Api):
        bill_id = api.opened()
        item = api.added(bill_id)

        answer = api.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "entered twice"})

        reversing = answer.json["line_item"]
        assert answer.status_code == 200
        assert (reversing["reverses"], reversing["reason"]) == (item["id"], "entered twice")
        assert (reversing["quantity"], reversing["unit_price"], reversing["total"]) == ("-6", "0.6", "-3.6")
        assert answer.json["data"]["total"]["by_currency"] == {"GEL": "0"}

    def test_it_is_taken_back_once(self, api: Api):
        bill_id = api.opened()
        path = f"/bills/{bill_id}/line-items/{api.added(bill_id)['id']}/reversal"
        api.post(path, {"reason": "entered twice"})

        answer = api.post(path, {"reason": "entered twice"})

        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "already_reversed")

    def test_a_reversal_is_not_reversed(self, api: Api):
        bill_id = api.opened()
        item = api.added(bill_id)
        back = api.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "no"}).json["line_item"]

        answer = api.post(f"/bills/{bill_id}/line-items/{back['id']}/reversal", {"reason": "yes"})

        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "not_reversible")

    def test_an_item_of_another_bill_is_not_found(self, api: Api):
        item = api.added(api.opened())

        answer = api.post(f"/bills/{api.opened()}/line-items/{item['id']}/reversal", {"reason": "no"})

        assert (answer.status_code, answer.json["message"]) == (404, "line item not found")


class TestWithoutWaiting:
    def test_a_request_is_stored_and_its_outcome_read_later(self, api: Api, engine: Engine):
        bill_id = api.opened()

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async, wait=5")

        path = answer.headers["Location"].removeprefix("/api/v1")
        assert answer.status_code == 202
        assert answer.headers["Preference-Applied"] == "respond-async"
        assert api.get(path).json["data"] == answer.json["data"]
        assert answer.json["data"]["state"] == "pending"
        assert api.bill(bill_id)["item_count"] == 0

        requests.carry_out(engine, UUID(bill_id), UUID(answer.json["data"]["id"]))

        assert api.get(path).json["data"]["state"] == "added"
        (item,) = api.bill(bill_id)["line_items"]
        assert api.get(path).json["data"]["line_item_id"] == item["id"]

    def test_a_rejection_is_told_as_an_error_would_be(self, api: Api, engine: Engine, end_period):
        bill_id = api.opened()
        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async")
        end_period(bill_id)
        requests.carry_out(engine, UUID(bill_id), UUID(answer.json["data"]["id"]))

        stored = api.get(answer.headers["Location"].removeprefix("/api/v1")).json["data"]

        assert stored["state"] == "rejected"
        assert stored["error"]["code"] == "failed_precondition"
        assert stored["error"]["details"]["reason"] == "period_ended"

    def test_a_repeated_key_is_the_same_request(self, api: Api):
        bill_id = api.opened()
        first = api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async", Idempotency_Key="once")

        second = api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async", Idempotency_Key="once")

        assert second.headers["Location"] == first.headers["Location"]
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_a_closing_bill_stores_no_request(self, api: Api):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/close")

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async")

        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "bill_closing")

    @pytest.mark.parametrize("request_id", ["x", "01890a5d-ac96-774b-bcce-b302099a8057"])
    def test_an_unknown_request_is_not_found(self, api: Api, request_id: str):
        answer = api.get(f"/bills/{api.opened()}/line-item-requests/{request_id}")

        assert answer.status_code == 404
