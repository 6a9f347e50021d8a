"""A batch that is only tried, and one of which all counts or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.support.api import HUNG, Api

TABLES = ("line_items", "bill_subtotals", "events", "idempotency_keys", "line_item_references", "bills")


@pytest.fixture
def stored(engine: Engine):
    """Everything that there is, to be compared."""

    def read() -> dict[str, Any]:
        with engine.connect() as connection:
            return {
                table: sorted(map(repr, connection.execute(text(f"SELECT * FROM {table}")).all())) for table in TABLES
            }

    return read


def batch(api: Api, bill_id: str, rows: list[Any], headers: dict[str, str] | None = None, **options: Any):
    return api.post(f"/bills/{bill_id}/line-items/batch", {"line_items": rows, **options}, **(headers or {}))


def words(answer: Any) -> list[str]:
    return [outcome["outcome"] for outcome in answer.json["outcomes"]]


class TestDryRun:
    ROWS = (
        {**HUNG, "key": "a"},
        {**HUNG, "key": "known"},
        {**HUNG, "key": "known", "quantity": 7},
        {**HUNG, "quantity": 0},
        {**HUNG, "currency": "USD", "source": "shop", "reference": "new"},
        {**HUNG, "source": "shop", "reference": "order-1"},
        {**HUNG, "key": "a"},
    )

    def test_it_says_what_would_come_of_it_and_nothing_does(self, api: Api, stored: Any):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="known")
        item = api.added(bill_id, source="shop", reference="order-1")
        before = stored()

        tried = batch(api, bill_id, list(self.ROWS), {"Idempotency_Key": "call"}, dry_run=True)

        assert stored() == before
        expected = ["added", "replayed", "rejected", "rejected", "added", "replayed", "replayed"]
        assert (tried.status_code, words(tried)) == (200, expected)
        assert tried.json["dry_run"] is True
        assert tried.json["preview"] == {
            "added": 2, "item_count": 4, "by_currency": {"GEL": "10.8", "USD": "3.6"}
        }  # fmt: skip
        assert tried.json["data"] == api.bill(bill_id)
        assert tried.json["outcomes"][5]["line_item"] == item
        imagined = [tried.json["outcomes"][n] for n in (0, 4, 6)]
        assert [one["total"] for one in imagined] == ["3.6"] * 3
        assert not any("line_item" in one for one in imagined)

        done = batch(api, bill_id, list(self.ROWS), {"Idempotency_Key": "call"})
        assert words(done) == expected
        assert "Idempotent-Replayed" not in done.headers
        assert done.json["data"]["total"]["by_currency"] == tried.json["preview"]["by_currency"]
        assert "preview" not in done.json

    def test_a_closed_bill_refuses_it_too(self, api: Api, close: Any):
        bill_id = api.opened()
        close(bill_id)
        assert batch(api, bill_id, [HUNG], dry_run=True).json["details"]["reason"] == "bill_closed"

    def test_rows_of_which_none_can_be_right_are_told(self, api: Api):
        tried = batch(api, api.opened(), [{**HUNG, "quantity": 0}], dry_run=True)
        assert words(tried) == ["rejected"]
        assert tried.json["preview"] == {"added": 0, "item_count": 0, "by_currency": {}}

    def test_an_unknown_bill_is_not_found(self, api: Api):
        assert batch(api, "01890a5d-ac96-774b-bcce-b302099a8057", [HUNG], dry_run=True).status_code == 404


class TestAtomic:
    def test_all_of_it_counts(self, api: Api):
        bill_id = api.opened()
        answer = batch(api, bill_id, [HUNG, {**HUNG, "key": "a"}, {**HUNG, "key": "a"}], atomic=True)
        assert words(answer) == ["added", "added", "replayed"]
        assert answer.json["data"]["version"] == 2

    @pytest.mark.parametrize(
        ("wrong", "status", "reason", "field"),
        [
            ({**HUNG, "quantity": 0}, 400, "invalid_value", "line_items[1].quantity"),
            ("text", 400, "invalid_value", "line_items[1]"),
            ({**HUNG, "currency": "DOGE"}, 400, "unsupported_currency", "line_items[1].currency"),
            ({**HUNG, "key": "known", "quantity": 7}, 409, "idempotency_key_reused", "line_items[1]"),
            ({**HUNG, "key": "twice", "quantity": 7}, 409, "idempotency_key_reused", "line_items[1]"),
            (
                {**HUNG, "source": "shop", "reference": "order-1", "quantity": 7},
                409,
                "reference_reused",
                "line_items[1].reference",
            ),
        ],
    )
    def test_or_nothing_does(self, api: Api, stored: Any, wrong: Any, status: int, reason: str, field: str):
        bill_id = api.opened()
        api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="known")
        api.added(bill_id, source="shop", reference="order-1")
        before = stored()
        rows = [{**HUNG, "key": "twice"}, wrong, {**HUNG, "source": "shop", "reference": "order-2"}]

        for options in ({"atomic": True}, {"atomic": True, "dry_run": True}):
            refused = batch(api, bill_id, rows, {"Idempotency_Key": "call"}, **options)
            assert (refused.status_code, refused.json["details"]["reason"]) == (status, reason)
            assert refused.json["details"]["field"] == field
            assert refused.json["message"].startswith("line_items[1]: ")
            assert stored() == before

        mended = batch(api, bill_id, [rows[0], HUNG, rows[2]], {"Idempotency_Key": "call"}, atomic=True)
        assert words(mended) == ["added"] * 3

    def test_repeated_it_is_answered_as_it_was(self, api: Api):
        bill_id = api.opened()
        first, again = (batch(api, bill_id, [HUNG, HUNG], {"Idempotency_Key": "call"}, atomic=True) for _ in range(2))
        assert (words(first), words(again)) == (["added"] * 2, ["replayed"] * 2)
        assert again.headers["Idempotent-Replayed"] == "true"
        other = batch(api, bill_id, [HUNG, HUNG], {"Idempotency_Key": "call"})
        assert other.json["details"]["reason"] == "idempotency_key_reused"

    def test_tried_it_says_what_would_come_of_it(self, api: Api, stored: Any):
        bill_id = api.opened()
        before = stored()
        tried = batch(api, bill_id, [HUNG, HUNG], atomic=True, dry_run=True)
        assert (words(tried), tried.json["preview"]["added"]) == (["added"] * 2, 2)
        assert stored() == before

    def test_a_closed_bill_refuses_it(self, api: Api, close: Any):
        bill_id = api.opened()
        close(bill_id)
        for rows in ([HUNG], [HUNG, {**HUNG, "quantity": 0}]):
            refused = batch(api, bill_id, rows, atomic=True)
            assert (refused.status_code, refused.json["details"]["reason"]) == (400, "bill_closed")


@pytest.mark.parametrize("name", ["atomic", "dry_run"])
@pytest.mark.parametrize("value", [None, 1, "true", [], {}])
def test_an_option_is_true_or_false(api: Api, name: str, value: Any):
    refused = batch(api, api.opened(), [HUNG], **{name: value})
    assert (refused.status_code, refused.json["details"]["field"]) == (400, name)


def test_options_that_are_false_are_no_options(api: Api):
    answer = batch(api, api.opened(), [HUNG, {**HUNG, "quantity": 0}], atomic=False, dry_run=False)
    assert words(answer) == ["added", "rejected"]
    assert "dry_run" not in answer.json
