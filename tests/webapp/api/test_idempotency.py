from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.support.api import HUNG, Api, bill_body, in_days
from webapp.identity import api_keys
from webapp.identity.roles import Role


class TestAddingOnce:
    def test_the_same_key_and_values_are_the_same_item(self, api: Api):
        bill_id = api.opened()
        first = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        second = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        assert second.status_code == 200
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert second.json == first.json

    @pytest.mark.parametrize("quantity", [b"6", b"6.0", b'"6"', b'"6.000"', b"0.6e1"])
    def test_numbers_that_are_the_same_number_are_the_same_values(self, api: Api, quantity: bytes):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        body = b'{"currency":"GEL","unit_price":"0.60","description":"hung","quantity":%s}' % quantity
        answer = api.post(f"/bills/{bill_id}/line-items", body, Idempotency_Key="a")

        assert answer.headers["Idempotent-Replayed"] == "true"

    def test_other_values_are_refused(self, api: Api):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        answer = api.post(f"/bills/{bill_id}/line-items", {**HUNG, "quantity": 7}, Idempotency_Key="a")

        assert answer.status_code == 409
        assert answer.json["code"] == "already_exists"
        assert answer.json["details"]["reason"] == "idempotency_key_reused"
        assert api.bill(bill_id)["item_count"] == 1

    def test_a_repeat_is_answered_with_the_bill_as_it_stands_now(self, api: Api, close):
        bill_id = api.opened()
        item = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a").json["line_item"]
        api.added(bill_id)
        close(bill_id)

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        assert answer.status_code == 200
        assert answer.json["line_item"] == item
        assert answer.json["data"]["status"] == "closed"
        assert answer.json["data"]["item_count"] == 2

    def test_what_was_refused_is_not_remembered(self, api: Api):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", {**HUNG, "quantity": 0}, Idempotency_Key="a")

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers

    def test_a_key_belongs_to_its_bill_and_operation(self, api: Api):
        bill_id = api.opened()
        item = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a").json["line_item"]

        other_bill = api.post(f"/bills/{api.opened()}/line-items", HUNG, Idempotency_Key="a")
        reversal = f"/bills/{bill_id}/line-items/{item['id']}/reversal"
        other_operation = api.post(reversal, {"reason": "no"}, Idempotency_Key="a")

        assert "Idempotent-Replayed" not in other_bill.headers
        assert other_operation.status_code == 200

    def test_a_key_survives_the_replacement_of_the_api_key(self, api: Api, client: FlaskClient, engine: Engine):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")
        replacement = Api(client, api_keys.create(engine, name="ledger-sync", role=Role.OPERATOR))

        answer = replacement.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        assert answer.headers["Idempotent-Replayed"] == "true"

    def test_another_account_has_keys_of_its_own(self, api: Api, admin: Api):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        answer = admin.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="a")

        assert "Idempotent-Replayed" not in answer.headers
        assert answer.json["data"]["item_count"] == 2


class TestEveryOtherPost:
    def test_opening(self, api: Api):
        body = bill_body()
        first = api.post("/bills", body, Idempotency_Key="opening")

        second = api.post("/bills", body, Idempotency_Key="opening")

        assert second.json == first.json
        assert second.headers["Idempotent-Replayed"] == "true"
        assert api.post("/bills", bill_body(), Idempotency_Key="opening").status_code == 409

    def test_changing_the_period(self, api: Api):
        path, body = f"/bills/{api.opened()}/period", {"period_end": in_days(50), "expected_version": 1}
        first = api.post(path, body, Idempotency_Key="a")

        second = api.post(path, body, Idempotency_Key="a")

        assert (second.status_code, second.json) == (200, first.json)
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_closing(self, api: Api):
        path = f"/bills/{api.opened()}/close"
        api.post(path, Idempotency_Key="a")

        answer = api.post(path, Idempotency_Key="a")

        assert answer.status_code == 202
        assert answer.headers["Idempotent-Replayed"] == "true"

    def test_reversing(self, api: Api):
        bill_id = api.opened()
        path = f"/bills/{bill_id}/line-items/{api.added(bill_id)['id']}/reversal"
        first = api.post(path, {"reason": "no"}, Idempotency_Key="a")

        second = api.post(path, {"reason": "no"}, Idempotency_Key="a")

        assert second.json == first.json
        assert second.headers["Idempotent-Replayed"] == "true"
        assert api.post(path, {"reason": "other"}, Idempotency_Key="a").status_code == 409

    def test_registering_a_customer(self, api: Api):
        body = {"id": "registered-once", "name": "Once"}
        first = api.post("/customers", body, Idempotency_Key="registering")

        second = api.post("/customers", body, Idempotency_Key="registering")

        assert second.json == first.json
        assert second.headers["Idempotent-Replayed"] == "true"
