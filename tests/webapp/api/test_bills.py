from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tests.support.api import HUNG, Api, bill_body, in_days

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class TestTheSeedsFourCalls:
    def test_a_bill_is_opened_for_a_customer_nobody_knew(self, api: Api):
        answer = api.post("/bills", bill_body("hung-1"))

        bill = answer.json["data"]
        assert answer.status_code == 200
        assert bill["customer_id"] == "hung-1"
        assert bill["status"] == "open"
        assert bill["workflow_id"] == f"bill-{bill['id']}"
        assert bill["line_items"] == []
        assert bill["total"] == {"by_currency": {}, "converted": {}}
        assert "closed_at" not in bill
        assert all(INSTANT.fullmatch(bill[name]) for name in ("period_start", "period_end", "created_at", "updated_at"))

    def test_an_item_is_added_exactly_and_answered_with_the_bill(self, api: Api):
        bill_id = api.opened()

        answer = api.post(f"/bills/{bill_id}/line-items", HUNG)

        bill, item = answer.json["data"], answer.json["line_item"]
        assert answer.status_code == 200
        assert bill["line_items"] == [item]
        assert item["bill_id"] == bill_id
        assert (item["quantity"], item["unit_price"], item["total"]) == ("6", "0.6", "3.6")
        assert (item["description"], item["currency"]) == ("hung", "GEL")
        assert bill["total"]["by_currency"] == {"GEL": "3.6"}
        assert bill["total"]["converted"]["GEL"]["amount"] == "3.60"
        assert bill["payable"] == {"GEL": {"amount": "3.60", "rounding": "0"}}

    def test_the_bill_reads_as_it_was_answered(self, api: Api):
        bill_id = api.opened()
        answered = api.post(f"/bills/{bill_id}/line-items", HUNG).json["data"]

        assert api.bill(bill_id) == answered

    def test_closing_is_stored_and_answered_202_while_no_workflow_can_carry_it_out(self, api: Api):
        bill_id = api.opened()

        answer = api.post(f"/bills/{bill_id}/close")

        assert answer.status_code == 202
        assert answer.json["data"]["status"] == "closing"
        assert "close_requested_at" in answer.json["data"]

    def test_a_closed_bill_is_answered_200_with_what_closing_gave_it(self, api: Api, close):
        bill_id = api.opened()
        api.added(bill_id)
        close(bill_id)

        answer = api.post(f"/bills/{bill_id}/close", {"expected_version": 1})

        bill = answer.json["data"]
        assert answer.status_code == 200
        assert bill["status"] == "closed"
        assert bill["close_reason"] == "manual"
        assert bill["number"] >= 1
        assert bill["effective_at"] == bill["close_requested_at"] <= bill["closed_at"]
        assert bill["rates"]["frozen"] is True


class TestTotals:
    def test_the_whole_bill_is_shown_in_each_currency_on_it_by_payables(self, api: Api):
        bill_id = api.opened()
        api.added(bill_id, quantity=1, unit_price="3.605", currency="GEL")
        api.added(bill_id, quantity=3, unit_price="33.333", currency="JPY")

        bill = api.bill(bill_id)

        rates = api.get("/rates").json["data"]["rates"]
        gel, jpy = Decimal(rates["GEL"]), Decimal(rates["JPY"])
        assert bill["total"]["by_currency"] == {"GEL": "3.605", "JPY": "99.999"}
        assert bill["payable"]["GEL"] == {"amount": "3.61", "rounding": "0.005"}
        assert bill["payable"]["JPY"] == {"amount": "100", "rounding": "0.001"}
        converted = bill["total"]["converted"]
        assert Decimal(converted["GEL"]["amount"]) == Decimal("3.61") + round(100 * gel / jpy, 2)
        assert Decimal(converted["JPY"]["amount"]) == 100 + round(Decimal("3.61") * jpy / gel, 0)
        assert converted["GEL"]["rate_updated_at"] <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def test_a_reader_may_ask_for_any_supported_currency_more(self, api: Api):
        bill_id = api.opened()
        api.added(bill_id)

        bill = api.bill(bill_id, "?currency=KWD")

        assert set(bill["total"]["converted"]) == {"GEL", "KWD"}
        assert re.fullmatch(r"\d\.\d{3}", bill["total"]["converted"]["KWD"]["amount"])

    def test_calls_that_change_a_bill_answer_in_it_too(self, api: Api):
        bill_id = api.opened()

        answer = api.post(f"/bills/{bill_id}/line-items?currency=CHF", HUNG)

        assert set(answer.json["data"]["total"]["converted"]) == {"GEL", "CHF"}

    def test_a_missing_rate_makes_the_whole_conversion_unavailable(self, api: Api, engine: Engine, app):
        bill_id = api.opened()
        api.added(bill_id, currency="GEL")
        api.added(bill_id, currency="USD")
        with engine.begin() as connection:
            connection.execute(text("UPDATE rate_snapshots SET rates = rates - 'GEL'"))
        app.extensions["pave"].rates.current.renewed()

        converted = api.bill(bill_id)["total"]["converted"]

        with engine.begin() as connection:
            connection.execute(text("""UPDATE rate_snapshots SET rates = rates || '{"GEL": "2.7052"}'"""))
        app.extensions["pave"].rates.current.renewed()
        assert converted["USD"] == {"amount": None, "reason": "rate_missing", "missing": ["GEL"]}
        assert converted["GEL"]["amount"] is None

    def test_rates_say_that_they_are_samples(self, api: Api):
        rates = api.bill(api.opened())["rates"]

        assert rates["sample"] is True
        assert rates["provider"] == "sample"
        assert rates["frozen"] is False


class TestPeriod:
    def test_the_end_of_an_open_bill_moves(self, api: Api):
        bill_id, end = api.opened(), in_days(60)

        answer = api.post(f"/bills/{bill_id}/period", {"period_end": end, "expected_version": 1})

        assert answer.status_code == 200
        assert answer.json["data"]["period_end"] == end
        assert answer.json["data"]["version"] == 2

    def test_another_version_is_a_conflict(self, api: Api):
        bill_id = api.opened()

        answer = api.post(f"/bills/{bill_id}/period", {"period_end": in_days(60), "expected_version": 7})

        assert answer.status_code == 409
        assert answer.json["code"] == "aborted"
        assert answer.json["details"]["reason"] == "version_conflict"

    def test_closing_heeds_the_version_too(self, api: Api):
        bill_id = api.opened()
        api.added(bill_id)

        assert api.post(f"/bills/{bill_id}/close", {"expected_version": 1}).status_code == 409
        assert api.bill(bill_id)["status"] == "open"
        assert api.post(f"/bills/{bill_id}/close", {"expected_version": 2}).status_code == 202


class TestList:
    def test_pages_follow_each_other_without_gap_or_repeat(self, api: Api):
        made = [api.opened("paging") for _ in range(5)]

        seen, cursor = [], ""
        while cursor is not None:
            page = api.get(f"/bills?customer_id=paging&limit=2{cursor and '&cursor=' + cursor}").json
            seen += [bill["id"] for bill in page["data"]]
            cursor = page["next_cursor"]

        assert seen == made[::-1]

    def test_bills_are_listed_without_items(self, api: Api):
        api.added(api.opened("without-items"))

        (bill,) = api.get("/bills?customer_id=without-items").json["data"]

        assert "line_items" not in bill
        assert "next_cursor" not in bill
        assert bill["total"]["by_currency"] == {"GEL": "3.6"}

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("status=open", {"gel", "usd"}),
            ("status=closing", {"closing"}),
            ("currency=GEL", {"gel"}),
            ("currency=XOF", set()),
            ("from={in_100_days}", {"usd"}),
            ("to={in_40_days}", {"gel", "closing"}),
            ("from={in_40_days}&to={in_100_days}", set()),
            ("q=no such customer", set()),
            ("q=%25", set()),
        ],
    )
    def test_filters_select(self, api: Api, query: str, found: set[str]):
        days = {"in_40_days": in_days(40), "in_100_days": in_days(100)}
        customer = f"filters-{abs(hash(query))}"
        made = {
            "gel": api.opened(customer),
            "usd": api.opened(customer, period_start=in_days(110), period_end=in_days(120)),
            "closing": api.opened(customer),
        }
        api.added(made["gel"], currency="GEL")
        api.added(made["usd"], currency="USD")
        api.post(f"/bills/{made['closing']}/close")

        listed = api.get(f"/bills?customer_id={customer}&" + query.format(**days)).json["data"]

        assert {bill["id"] for bill in listed} == {made[name] for name in found}

    def test_search_finds_a_part_of_the_customers_name_the_number_and_the_id(self, api: Api, close):
        api.post("/customers", {"id": "searched", "name": "Ähre & Söhne"})
        bill_id = api.opened("searched")
        close(bill_id)
        number = api.bill(bill_id)["number"]

        for words in ("ähre%20%26", str(number), bill_id, f"bill-{bill_id}"):
            assert bill_id in [bill["id"] for bill in api.get(f"/bills?q={words}").json["data"]], words

    def test_a_cursor_is_good_for_its_own_filter_alone(self, api: Api):
        for _ in range(2):
            api.opened("cursor-owner")
        cursor = api.get("/bills?customer_id=cursor-owner&limit=1").json["next_cursor"]

        answer = api.get(f"/bills?customer_id=somebody-else&limit=1&cursor={cursor}")

        assert answer.status_code == 400
        assert answer.json["details"]["reason"] == "invalid_cursor"


def test_editing_a_customer_changes_open_bills_and_no_closed_one(api: Api, close):
    api.post("/customers", {"id": "renamed", "name": "Before"})
    open_bill, closed_bill = api.opened("renamed"), api.opened("renamed")
    close(closed_bill)

    api.patch("/customers/renamed", {"name": "After"})

    assert api.bill(open_bill)["customer"]["name"] == "After"
    assert api.bill(closed_bill)["customer"]["name"] == "Before"
