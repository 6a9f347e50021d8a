from __future__ import annotations

import json
from typing import Any

from tests.support.api import HUNG, Api


def batch(api: Api, bill_id: str, *rows: Any, **headers: str):
    return api.post(f"/bills/{bill_id}/line-items/batch", {"line_items": list(rows)}, **headers)


def words(answer: Any) -> list[str]:
    return [outcome["outcome"] for outcome in answer.json["outcomes"]]


def test_good_rows_count_whatever_the_others_are(api: Api):
    bill_id = api.opened()

    answer = batch(api, bill_id, HUNG, {**HUNG, "quantity": 0}, "text", {**HUNG, "x": 1}, {**HUNG, "currency": "USD"})

    assert answer.status_code == 200
    assert words(answer) == ["added", "rejected", "rejected", "rejected", "added"]
    assert [outcome["index"] for outcome in answer.json["outcomes"]] == [0, 1, 2, 3, 4]
    assert answer.json["outcomes"][1]["error"]["details"]["field"] == "quantity"
    assert answer.json["outcomes"][3]["error"]["details"]["field"] == "x"
    assert answer.json["data"]["total"]["by_currency"] == {"GEL": "3.6", "USD": "3.6"}
    assert [outcome.get("line_item") for outcome in answer.json["outcomes"] if "line_item" in outcome] == (
        answer.json["data"]["line_items"]
    )


def test_a_thousand_rows_are_one_change(api: Api):
    bill_id = api.opened()

    answer = batch(api, bill_id, *[{**HUNG, "description": f"row {n}"} for n in range(1_000)])

    assert words(answer) == ["added"] * 1_000
    assert answer.json["data"]["version"] == 2
    assert answer.json["data"]["total"]["by_currency"] == {"GEL": "3600"}
    (event,) = api.get(f"/bills/{bill_id}/events?after=1").json["data"]
    assert (event["data"]["first_position"], event["data"]["last_position"]) == (1, 1_000)


def test_a_rows_key_is_the_key_of_adding_it_alone(api: Api):
    bill_id = api.opened()
    api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="alone")

    answer = batch(api, bill_id, {**HUNG, "key": "alone"}, {**HUNG, "quantity": 7, "key": "alone"})

    assert words(answer) == ["replayed", "rejected"]
    assert answer.json["outcomes"][1]["error"]["code"] == "already_exists"
    assert answer.json["data"]["item_count"] == 1


def test_rows_of_one_call_that_share_a_key_are_one_item(api: Api):
    bill_id = api.opened()
    row = {**HUNG, "key": "twice"}

    answer = batch(api, bill_id, row, {**row, "quantity": "6.0"}, {**row, "quantity": 7}, HUNG, HUNG)

    assert words(answer) == ["added", "replayed", "rejected", "added", "added"]
    outcomes = answer.json["outcomes"]
    assert outcomes[0]["line_item"] == outcomes[1]["line_item"]
    assert outcomes[2]["error"]["details"]["reason"] == "idempotency_key_reused"
    assert answer.json["data"]["item_count"] == 3


def test_a_key_that_cannot_be_one_rejects_its_row(api: Api):
    answer = batch(
        api, api.opened(), {**HUNG, "key": ""}, {**HUNG, "key": None}, {**HUNG, "key": "é"}, {**HUNG, "key": 5}
    )

    assert words(answer) == ["rejected"] * 4
    assert {outcome["error"]["details"]["field"] for outcome in answer.json["outcomes"]} == {"key"}


def test_a_number_left_out_is_said_to_be_required(api: Api):
    answer = batch(api, api.opened(), {"description": "a"}, {**HUNG, "unit_price": None}, {**HUNG, "unit_price": ""})

    errors = [outcome["error"] for outcome in answer.json["outcomes"]]
    assert [error["message"] for error in errors] == ["quantity is required", *["unit_price is required"] * 2]
    assert {error["details"]["reason"] for error in errors} == {"required"}


def test_the_header_covers_the_call(api: Api):
    bill_id = api.opened()
    rows = [HUNG, {**HUNG, "quantity": "0"}, {**HUNG, "key": "own"}]
    first = batch(api, bill_id, *rows, Idempotency_Key="call")

    second = batch(api, bill_id, *rows, Idempotency_Key="call")

    assert words(first) == ["added", "rejected", "added"]
    assert words(second) == ["replayed", "rejected", "replayed"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json["data"] == first.json["data"]


def test_other_rows_under_the_same_header_are_refused_as_a_whole(api: Api):
    bill_id = api.opened()
    batch(api, bill_id, HUNG, {**HUNG, "quantity": 0}, Idempotency_Key="call")

    for rows in ([HUNG], [HUNG, {**HUNG, "quantity": -1}], [HUNG, {**HUNG, "quantity": 0}, HUNG]):
        answer = batch(api, bill_id, *rows, Idempotency_Key="call")
        assert answer.status_code == 409
        assert answer.json["details"]["reason"] == "idempotency_key_reused"
    assert api.bill(bill_id)["item_count"] == 1


def test_a_closed_bill_refuses_the_call(api: Api, close):
    bill_id = api.opened()
    close(bill_id)

    for rows in ([HUNG, {**HUNG, "quantity": 0}], [{**HUNG, "quantity": 0}]):
        answer = batch(api, bill_id, *rows)
        assert answer.status_code == 400
        assert answer.json["details"]["reason"] == "bill_closed"


def test_a_closed_bill_still_repeats_what_it_had_taken(api: Api, close):
    bill_id = api.opened()
    batch(api, bill_id, {**HUNG, "key": "before"}, Idempotency_Key="call")
    close(bill_id)

    by_row = batch(api, bill_id, {**HUNG, "key": "before"}, HUNG)
    by_call = batch(api, bill_id, {**HUNG, "key": "before"}, Idempotency_Key="call")

    assert words(by_row) == ["replayed", "rejected"]
    assert by_row.json["outcomes"][1]["error"]["details"]["reason"] == "bill_closed"
    assert words(by_call) == ["replayed"]


def test_rows_of_which_none_can_be_right_are_all_rejected(api: Api):
    bill_id = api.opened()

    answer = batch(api, bill_id, {**HUNG, "quantity": 0}, 5)

    assert answer.status_code == 200
    assert words(answer) == ["rejected", "rejected"]
    assert answer.json["data"]["version"] == 1


def test_an_unknown_bill_is_not_found(api: Api):
    for rows in ([HUNG], [5]):
        assert batch(api, "01890a5d-ac96-774b-bcce-b302099a8057", *rows).status_code == 404


def test_two_megabytes_of_rows_are_read(api: Api):
    body = json.dumps({"line_items": [HUNG]}).encode().ljust(2 * 1024 * 1024)

    assert api.post(f"/bills/{api.opened()}/line-items/batch", body).status_code == 200
