"""The source and reference of an item, as programs say and see them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from billing.ledger import requests, settings
from billing.origin import by_the_system
from billing.settings import DEFAULT_CURRENCIES
from tests.support.api import HUNG, Api

ORDER = {**HUNG, "source": "shop", "reference": "order-1"}


def test_an_item_says_where_it_comes_from_wherever_it_is_shown(api: Api):
    bill_id = api.opened()
    item = api.added(bill_id, source="shop", reference="order-1")
    assert (item["source"], item["reference"]) == ("shop", "order-1")
    assert api.bill(bill_id)["line_items"] == [item]
    assert api.get(f"/bills/{bill_id}/line-items").json["data"] == [item]
    exported = api.get(f"/exports/line-items?format=ndjson&bill_id={bill_id}").text
    assert item.items() <= json.loads(exported).items()
    assert '"source"' not in json.dumps(api.added(bill_id))


def test_the_same_again_on_another_bill_is_a_replay_of_the_item_that_is_there(api: Api):
    first, second = api.opened("replayed"), api.opened("replayed")
    item = api.added(first, source="shop", reference="order-1")
    again = api.post(f"/bills/{second}/line-items", ORDER)
    assert again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["line_item"] == item
    assert (again.json["data"]["id"], again.json["data"]["version"]) == (second, 1)


def test_other_values_are_a_conflict(api: Api):
    bill_id = api.opened()
    api.post(f"/bills/{bill_id}/line-items", ORDER)
    refused = api.post(f"/bills/{bill_id}/line-items", {**ORDER, "quantity": 7})
    assert (refused.status_code, refused.json["code"]) == (409, "already_exists")
    assert refused.json["details"]["reason"] == "reference_reused"
    assert refused.json["details"]["field"] == "reference"
    assert api.bill(bill_id)["item_count"] == 1


def test_in_a_batch_each_row_has_its_outcome(api: Api):
    bill_id = api.opened()
    item = api.added(bill_id, source="shop", reference="order-1")
    new = {**ORDER, "reference": "order-2"}
    rows = [ORDER, {**ORDER, "quantity": 7}, new, new, {**HUNG, "source": "shop"}, HUNG]
    answer = api.post(f"/bills/{bill_id}/line-items/batch", {"line_items": rows})
    outcomes = answer.json["outcomes"]
    assert [one["outcome"] for one in outcomes] == ["replayed", "rejected", "added", "replayed", "rejected", "added"]
    assert outcomes[0]["line_item"] == item
    assert outcomes[1]["error"]["details"]["reason"] == "reference_reused"
    assert outcomes[2]["line_item"] == outcomes[3]["line_item"]
    assert outcomes[4]["error"]["details"]["field"] == "reference"
    assert answer.json["data"]["item_count"] == 3


def test_without_waiting_it_is_the_item_that_is_there(api: Api, engine: Engine):
    bill_id = api.opened()
    item = api.added(bill_id, source="shop", reference="order-1")
    asked = api.post(f"/bills/{bill_id}/line-items", ORDER, Prefer="respond-async")
    assert asked.status_code == 202
    requests.carry_out(engine, UUID(bill_id), UUID(asked.json["data"]["id"]))
    decided = api.get(asked.headers["Location"].removeprefix("/api/v1")).json["data"]
    assert (decided["state"], decided["line_item_id"]) == ("added", item["id"])


@pytest.mark.parametrize("known_by", ["reference", "key"])
def test_without_waiting_the_item_of_another_bill_is_named_with_its_bill(api: Api, engine: Engine, known_by: str):
    """So that whoever asked finds it; also where the key remembers it, and when nothing was left to decide."""
    first, second = api.opened("elsewhere"), api.opened("elsewhere")
    order, key = {**ORDER, "reference": f"order-of-{known_by}"}, {"Idempotency_Key": f"order-of-{known_by}"}
    item = api.added(first, source="shop", reference=order["reference"])
    if known_by == "key":
        api.post(f"/bills/{second}/line-items", order, **key)
    asked = api.post(f"/bills/{second}/line-items", order, Prefer="respond-async", **key)
    requests.carry_out(engine, UUID(second), UUID(asked.json["data"]["id"]))
    for _ in range(2):
        decided = api.get(asked.headers["Location"].removeprefix("/api/v1")).json["data"]
        assert (decided["bill_id"], decided["line_item_bill_id"], decided["line_item_id"]) == (
            second,
            first,
            item["id"],
        )
        asked = api.post(f"/bills/{second}/line-items", order, Prefer="respond-async", **key)
    assert asked.json["data"]["line_item_bill_id"] == first
    own = api.post(f"/bills/{second}/line-items", HUNG, Prefer="respond-async")
    done = requests.carry_out(engine, UUID(second), UUID(own.json["data"]["id"]))
    assert done.item_bill_id == UUID(second)


def test_without_waiting_it_is_that_item_on_a_closed_bill_too(api: Api, close: Any):
    """As it is for who waits."""
    bill_id = api.opened()
    item = api.added(bill_id, source="shop", reference="order-1")
    close(bill_id)
    asked = api.post(f"/bills/{bill_id}/line-items", ORDER, Prefer="respond-async")
    assert (asked.status_code, asked.json["data"]["state"]) == (202, "added")
    assert asked.json["data"]["line_item_id"] == item["id"]
    for other in ({**ORDER, "quantity": 7}, {**ORDER, "reference": "new"}):
        refused = api.post(f"/bills/{bill_id}/line-items", other, Prefer="respond-async")
        assert refused.json["details"]["reason"] == "bill_closed"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"source": "shop"}, "reference"),
        ({"reference": "order-1"}, "source"),
        ({"source": "shop", "reference": None}, "reference"),
        ({"source": "", "reference": "order-1"}, "source"),
        ({"source": "shop", "reference": "  "}, "reference"),
        ({"source": "s" * 101, "reference": "order-1"}, "source"),
        ({"source": "shop", "reference": "r" * 256}, "reference"),
        ({"source": "shop", "reference": 5}, "reference"),
        ({"source": ["shop"], "reference": "order-1"}, "source"),
        ({"source": "shop", "reference": "a\0b"}, "reference"),
        ({"source": "shop", "reference": "a\ud800b"}, "reference"),
    ],
)
def test_what_cant_be_one_is_refused(api: Api, given: dict[str, Any], field: str):
    bill_id = api.opened()
    refused = api.post(f"/bills/{bill_id}/line-items", {**HUNG, **given})
    assert (refused.status_code, refused.json["details"]["field"]) == (400, field)
    assert api.bill(bill_id)["item_count"] == 0


def test_as_long_as_they_may_be(api: Api):
    assert api.added(api.opened(), source="ß" * 100, reference="ß" * 255)["reference"] == "ß" * 255


def test_nothing_given_is_none(api: Api):
    assert "source" not in api.added(api.opened(), source=None, reference=None)


@pytest.fixture
def without_laris(engine: Engine, app: Any):
    """Items were added in a currency that isn't offered any more."""

    def withdraw(codes: Any) -> None:
        settings.offer(engine, by_the_system("test"), codes, ceiling=DEFAULT_CURRENCIES)
        app.extensions["pave"].offered.renewed()

    yield lambda: withdraw([code for code in DEFAULT_CURRENCIES if code != "GEL"])
    withdraw(DEFAULT_CURRENCIES)


def test_a_currency_that_is_not_offered_any_more_keeps_nobody_from_repeating(api: Api, without_laris: Any):
    bill_id = api.opened()
    item = api.added(bill_id, source="shop", reference="order-1")
    without_laris()
    assert api.post(f"/bills/{bill_id}/line-items", ORDER).json["line_item"] == item
    new = {**ORDER, "reference": str(uuid4())}
    assert api.post(f"/bills/{bill_id}/line-items", new).json["details"]["reason"] == "unsupported_currency"
    rows = {"line_items": [ORDER, new, {**HUNG, "currency": "USD"}]}
    outcomes = api.post(f"/bills/{bill_id}/line-items/batch", rows).json["outcomes"]
    assert [one["outcome"] for one in outcomes] == ["replayed", "rejected", "added"]
