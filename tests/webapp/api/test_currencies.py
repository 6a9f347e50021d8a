"""Which currencies new items may be in."""

from __future__ import annotations

import pytest
from flask import Flask

from billing.settings import DEFAULT_CURRENCIES
from tests.support.api import HUNG, Api

KEY = {"Idempotency_Key": "a"}
BATCH = {"line_items": [HUNG, {**HUNG, "currency": "USD"}]}


@pytest.fixture(autouse=True)
def _all_offered(admin: Api):
    offer(admin, *DEFAULT_CURRENCIES)


def offer(admin: Api, *codes: str) -> None:
    answer = admin.patch("/currencies", {"offered": list(codes)})
    assert answer.status_code == 200, answer.text


def test_all_that_are_configured_are_offered_at_first(viewer: Api):
    found = viewer.get("/currencies").json["data"]
    assert found["offered"] == found["configured"] == list(DEFAULT_CURRENCIES)


def test_only_an_admin_changes_them(api: Api, viewer: Api, stranger: Api):
    assert [caller.patch("/currencies", {"offered": ["USD"]}).status_code for caller in (stranger, viewer, api)] == [
        401,
        403,
        403,
    ]


def test_what_is_no_longer_offered_is_refused_at_once(api: Api, admin: Api):
    bill = api.opened()
    api.added(bill)
    offer(admin, "USD")
    answer = api.post(f"/bills/{bill}/line-items", HUNG)
    assert (answer.status_code, answer.json["message"]) == (400, "unsupported currency")
    asynchronous = api.post(f"/bills/{bill}/line-items", HUNG, Prefer="respond-async")
    assert asynchronous.json["details"]["field"] == "currency"
    outcomes = api.post(f"/bills/{bill}/line-items/batch", BATCH).json["outcomes"]
    assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "added"]
    assert outcomes[0]["error"]["details"]["reason"] == "unsupported_currency"


def test_a_bill_that_has_it_is_read_reversed_and_closed(api: Api, admin: Api, close):
    bill = api.opened()
    first, second = api.added(bill), api.added(bill, unit_price="2")
    offer(admin, "USD", "JPY")
    assert set(api.bill(bill, "?currency=GEL")["total"]["converted"]) == {"GEL"}
    reversed_ = api.post(f"/bills/{bill}/line-items/{first['id']}/reversal", {"reason": "twice"})
    assert reversed_.json["data"]["total"]["by_currency"] == {"GEL": second["total"]}
    close(bill)
    assert api.bill(bill)["payable"]["GEL"]["amount"] == "12.00"


def test_a_repeat_is_answered_whatever_is_offered_by_then(api: Api, admin: Api):
    bill = api.opened()
    path = f"/bills/{bill}/line-items"
    first = api.post(path, HUNG, **KEY)
    batch = api.post(f"{path}/batch", BATCH, Idempotency_Key="b")
    rows = {"line_items": [{**HUNG, "key": "r"}]}
    api.post(f"{path}/batch", rows)
    stored = api.post(path, HUNG, Prefer="respond-async", Idempotency_Key="c")
    offer(admin, "JPY")

    again = api.post(path, HUNG, **KEY)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json["line_item"] == first.json["line_item"]
    assert api.post(path, {**HUNG, "quantity": 7}, **KEY).json["code"] == "already_exists"
    whole = api.post(f"{path}/batch", BATCH, Idempotency_Key="b")
    assert [o["line_item"] for o in whole.json["outcomes"]] == [o["line_item"] for o in batch.json["outcomes"]]
    assert whole.headers["Idempotent-Replayed"] == "true"
    assert [o["outcome"] for o in api.post(f"{path}/batch", rows).json["outcomes"]] == ["replayed"]
    asynchronous = api.post(path, HUNG, Prefer="respond-async", Idempotency_Key="c")
    assert asynchronous.json["data"]["id"] == stored.json["data"]["id"]
    assert api.bill(bill)["item_count"] == 4


def test_a_batch_that_was_refused_in_part_is_no_fault_when_it_comes_again_with_all_offered(api: Api, admin: Api):
    bill = api.opened()
    path = f"/bills/{bill}/line-items/batch"
    offer(admin, "USD")
    first = api.post(path, BATCH, **KEY)
    assert [o["outcome"] for o in first.json["outcomes"]] == ["rejected", "added"]
    assert api.post(path, BATCH, **KEY).headers["Idempotent-Replayed"] == "true"
    offer(admin, *DEFAULT_CURRENCIES)
    assert api.post(path, BATCH, **KEY).json["details"]["reason"] == "idempotency_key_reused"
    assert api.bill(bill)["item_count"] == 1


def test_another_process_follows_within_a_second(api: Api, admin: Api, make_app, config):
    other = make_app(config)
    elsewhere = Api(other.test_client(), api.key)
    bill = api.opened()
    elsewhere.added(bill)
    offer(admin, "USD")
    other.extensions["pave"].offered._known = (DEFAULT_CURRENCIES, 0.0)  # a second later
    assert elsewhere.post(f"/bills/{bill}/line-items", HUNG).status_code == 400


def test_adding_does_not_ask_each_time(api: Api, app: Flask, monkeypatch):
    bill = api.opened()
    offered = app.extensions["pave"].offered
    asked = []
    monkeypatch.setattr(offered, "_read", lambda: asked.append(1) or DEFAULT_CURRENCIES)
    monkeypatch.setattr(offered, "_for_s", float("inf"))  # longer than five items take on any machine
    offered.renewed()
    for _ in range(5):
        api.added(bill)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"offered": []}, "required"),
        ({"offered": ["XXX"]}, "unsupported_currency"),
        ({"offered": ["usd"]}, "unsupported_currency"),
        ({"offered": "USD"}, "invalid_value"),
        ({"offered": [1]}, "invalid_value"),
        ({}, "invalid_value"),
        ({"offered": ["USD"], "more": 1}, "unknown_field"),
    ],
)
def test_what_cannot_be_offered_is_refused(admin: Api, body: dict[str, object], reason: str):
    answer = admin.patch("/currencies", body)
    assert (answer.status_code, answer.json["details"]["reason"]) == (400, reason)
    assert admin.get("/currencies").json["data"]["offered"] == list(DEFAULT_CURRENCIES)


def test_an_older_version_is_a_conflict(admin: Api):
    version = admin.get("/currencies").json["data"]["version"]
    offer(admin, "USD")
    answer = admin.patch("/currencies", {"offered": ["GEL"], "expected_version": version})
    assert (answer.status_code, answer.json["details"]["reason"]) == (409, "version_conflict")
