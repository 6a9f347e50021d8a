"""Everything of a kind, as CSV and NDJSON."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from billing.ledger import exports
from tests.support.api import HUNG, Api, in_days
from webapp.exports import places, streaming


def rows(api: Api, kind: str, query: str = "") -> list[dict[str, str]]:
    answer = api.get(f"/exports/{kind}?format=csv{query}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/csv"
    assert answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def things(api: Api, kind: str, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/exports/{kind}?format=ndjson{query}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def status(answer: Any) -> int:
    """Of an answer that nobody reads."""
    answer.close()
    return int(answer.status_code)


@pytest.fixture
def customer() -> str:
    return f"customer-{uuid4().hex[:12]}"


class TestBills:
    def test_a_line_is_the_bill_without_what_rates_have_a_part_in(self, api: Api, customer: str, close: Any):
        first, second, empty = (api.opened(customer) for _ in range(3))
        api.added(first)
        api.added(first, currency="USD", unit_price="0.333")
        close(second)
        found = things(api, "bills", f"&customer_id={customer}")
        assert [bill["id"] for bill in found] == [first, second, empty]
        for bill in found:
            shown = api.bill(bill["id"])
            del shown["total"]["converted"]
            assert bill == {name: shown[name] for name in bill}
            assert shown.keys() - bill.keys() == {"rates", "line_items", "next_cursor"}

    def test_a_row_is_a_bills_currency(self, api: Api, customer: str):
        bill_id, empty = api.opened(customer), api.opened(customer)
        api.added(bill_id)
        api.added(bill_id, currency="USD", unit_price="0.333")
        found = rows(api, "bills", f"&customer_id={customer}")
        assert [(row["bill_id"], row["currency"], row["subtotal"], row["payable"]) for row in found] == [
            (bill_id, "GEL", "3.6", "3.60"),
            (bill_id, "USD", "1.998", "2.00"),
            (empty, "", "", ""),
        ]

    def test_filters_are_those_of_the_list(self, api: Api, customer: str, close: Any):
        one, other = api.opened(customer), api.opened(customer, period_end=in_days(300))
        api.added(one)
        close(one)
        for query in ("status=closed", "currency=GEL", f"to={in_days(40)}", f"q={one}", f"from={in_days(40)}", "q=x"):
            listed = api.get(f"/bills?customer_id={customer}&{query}").json["data"]
            assert [bill["id"] for bill in things(api, "bills", f"&customer_id={customer}&{query}")] == [
                bill["id"] for bill in reversed(listed)
            ], query
        assert [bill["id"] for bill in things(api, "bills", f"&customer_id={customer}&from={in_days(40)}")] == [other]


class TestLineItems:
    def test_a_line_is_the_item_with_its_customer(self, api: Api, customer: str):
        bills = [api.opened(customer) for _ in range(2)]
        items = [api.added(bill_id, description=f"{n}") for bill_id in bills for n in range(3)]
        api.post(f"/bills/{bills[0]}/line-items/{items[0]['id']}/reversal", {"reason": "Entered twice"})
        found = things(api, "line-items", f"&customer_id={customer}")
        assert {item.pop("customer_id") for item in found} == {customer}
        listed = [api.get(f"/bills/{bill_id}/line-items").json["data"] for bill_id in bills]
        assert found == [item for items in listed for item in items]
        assert found[3]["reverses"] == items[0]["id"]

    def test_rows_have_figures_that_stay_figures_and_words_that_are_no_formulas(self, api: Api, customer: str):
        bill_id = api.opened(customer)
        item = api.added(bill_id, description="=HYPERLINK(1)")
        api.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "@twice"})
        first, second = rows(api, "line-items", f"&bill_id={bill_id}")
        assert (first["description"], first["amount"], first["line"]) == ("'=HYPERLINK(1)", "3.6", "1")
        assert (second["quantity"], second["amount"], second["reason"]) == ("-6", "-3.6", "'@twice")
        assert second["reverses"] == first["item_id"] == item["id"]

    def test_filters(self, api: Api, customer: str, close: Any):
        accruing, closed = api.opened(customer), api.opened(customer)
        first, second = api.added(accruing), api.added(accruing, currency="USD")
        third = api.added(closed)
        close(closed)
        expected = {
            f"bill_id={accruing}": [first, second],
            "currency=USD": [second],
            "status=closed": [third],
            f"from={second['created_at']}": [second, third],
            f"to={second['created_at']}": [first],
        }
        for query, items in expected.items():
            found = things(api, "line-items", f"&customer_id={customer}&{query}")
            assert [item["id"] for item in found] == [item["id"] for item in items], query


class TestEvents:
    def test_a_line_is_the_event_with_its_bill(self, api: Api, customer: str, close: Any):
        bill_id = api.opened(customer)
        api.added(bill_id)
        close(bill_id)
        found = things(api, "events", f"&bill_id={bill_id}")
        assert {event.pop("bill_id") for event in found} == {bill_id}
        assert found == api.get(f"/bills/{bill_id}/events").json["data"]
        assert found[0]["type"] == "bill.created"

    def test_those_of_a_customers_bills_in_a_span(self, api: Api, customer: str):
        bill_id = api.opened(customer)
        item = api.added(bill_id)
        api.opened()
        everything = rows(api, "events", f"&customer_id={customer}")
        assert [(row["bill_id"], row["version"]) for row in everything] == [(bill_id, "1"), (bill_id, "2")]
        assert json.loads(everything[1]["data"])["first_position"] == 1
        later = rows(api, "events", f"&customer_id={customer}&from={item['created_at']}")
        earlier = rows(api, "events", f"&customer_id={customer}&to={item['created_at']}")
        assert [row["version"] for row in later + earlier] == ["2", "1"]

    def test_only_bills_have_events_here(self, admin: Api, customer: str):
        """Not users', nor keys'."""
        admin.opened(customer)
        admin.patch(f"/customers/{customer}", {"name": "Changed"})
        assert {event["type"].split(".")[0] for event in things(admin, "events")} <= {"bill", "line_items", "line_item"}


@pytest.mark.parametrize("kind", ["bills", "line-items", "events"])
class TestOfEveryKind:
    def test_a_viewer_may_and_a_stranger_may_not(self, viewer: Api, stranger: Api, kind: str):
        assert status(viewer.get(f"/exports/{kind}")) == 200
        assert status(stranger.get(f"/exports/{kind}")) == 401

    def test_nothing_is_a_heading_or_nothing(self, viewer: Api, kind: str):
        query = f"&customer_id={uuid4()}"
        assert rows(viewer, kind, query) == []
        assert viewer.get(f"/exports/{kind}?{query[1:]}").data.count(b"\r\n") == 1
        assert things(viewer, kind, query) == []

    def test_it_is_a_download_with_a_name(self, viewer: Api, kind: str):
        for format_ in ("csv", "ndjson"):
            answer = viewer.get(f"/exports/{kind}?format={format_}")
            named = answer.headers["Content-Disposition"]
            assert named.startswith(f'attachment; filename="{kind}-20')
            assert named.endswith(f'.{format_}"')
            answer.close()

    @pytest.mark.parametrize("query", ["format=xlsx", "limit=5", "from=yesterday", "customer_id=", "format="])
    def test_what_cant_be_right_is_refused(self, viewer: Api, kind: str, query: str):
        answer = viewer.get(f"/exports/{kind}?{query}")
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_argument")
        assert answer.json["details"]["field"] == query.split("=", maxsplit=1)[0]

    @pytest.mark.parametrize("accepted", ["text/csv", "application/x-ndjson", "application/json", "*/*"])
    def test_who_accepts_what_it_answers_in_gets_it(self, viewer: Api, kind: str, accepted: str):
        assert status(viewer.get(f"/exports/{kind}", Accept=accepted)) == 200
        assert status(viewer.get(f"/exports/{kind}", Accept="image/png")) == 406
        assert status(viewer.get("/bills", Accept="text/csv")) == 406

    def test_head_takes_no_place(self, viewer: Api, kind: str):
        for _ in range(2 * places.MOST):
            assert status(viewer.call("HEAD", f"/exports/{kind}", None, {})) == 200


class TestWhatItHolds:
    @pytest.fixture(autouse=True)
    def in_small_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "AT_ONCE", 10)

    def begun(self, api: Api, query: str = "") -> tuple[Any, Iterator[bytes]]:
        address = f"/api/v1/exports/line-items?format=ndjson{query}"
        answer = api.client.get(address, headers=api.credentials, buffered=False)
        assert answer.status_code == 200, answer.text
        return answer, iter(answer.response)

    def added(self, api: Api, count: int) -> str:
        bill_id = api.opened()
        batch = {"line_items": [HUNG] * count}
        assert api.post(f"/bills/{bill_id}/line-items/batch", batch).status_code == 200
        return bill_id

    def test_all_of_it_is_of_one_instant(self, api: Api):
        bill_id = self.added(api, 30)
        answer, parts = self.begun(api, f"&bill_id={bill_id}")
        first = next(parts)
        api.added(bill_id, description="later")
        assert len((first + b"".join(parts)).splitlines()) == 30
        answer.close()
        assert len(things(api, "line-items", f"&bill_id={bill_id}")) == 31

    def test_a_reader_who_leaves_gives_back_the_connection_and_the_place(self, api: Api, app: Flask):
        bill_id = self.added(api, 30)
        pool = app.extensions["pave"].engine.pool
        for _ in range(2 * places.MOST):
            answer, parts = self.begun(api, f"&bill_id={bill_id}")
            next(parts)
            assert pool.checkedout() == 1
            answer.close()
            assert pool.checkedout() == 0

    def test_one_that_nobody_begins_to_read_gives_them_back_too(self, api: Api, app: Flask):
        bill_id = self.added(api, 30)
        for _ in range(2 * places.MOST):
            self.begun(api, f"&bill_id={bill_id}")[0].close()
        assert app.extensions["pave"].engine.pool.checkedout() == 0

    def test_there_are_few_at_once(self, api: Api, viewer: Api):
        bill_id = self.added(api, 30)
        own = [self.begun(api, f"&bill_id={bill_id}")[0] for _ in range(places.A_CALLER)]
        refused = api.get("/exports/bills")
        assert (refused.status_code, refused.json["code"]) == (429, "resource_exhausted")
        assert (refused.json["details"]["reason"], refused.headers["Retry-After"]) == ("too_many_exports", "15")
        others = [self.begun(viewer, f"&bill_id={bill_id}")[0] for _ in range(places.MOST - places.A_CALLER)]
        assert viewer.get("/exports/bills").status_code == 429
        for answer in (*own, *others):
            answer.close()
        assert status(api.get("/exports/bills")) == 200

    def test_one_that_takes_too_long_is_cut_off(self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch):
        bill_id = self.added(api, 30)
        monkeypatch.setattr(streaming, "WITHIN_S", -1.0)
        with pytest.raises(streaming.TookTooLong):
            self.begun(api, f"&bill_id={bill_id}")
        assert app.extensions["pave"].engine.pool.checkedout() == 0

    def test_a_chunk_that_nobody_takes_ends_it(self, api: Api):
        """gunicorn waits for ever for who reads nothing, unless its connection has a time-out while it sends."""

        class Connection:
            def __init__(self) -> None:
                self.said: list[float | None] = []

            def settimeout(self, seconds: float | None) -> None:
                self.said.append(seconds)

        connection = Connection()
        answer = api.client.get(
            "/api/v1/exports/events",
            headers=api.credentials,
            environ_overrides={"gunicorn.socket": connection},
            buffered=False,
        )
        assert connection.said == [streaming.SENT_WITHIN_S]
        answer.close()
        assert connection.said == [streaming.SENT_WITHIN_S, None]

    def test_it_takes_no_more_memory_for_more_rows(self, api: Api, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(exports, "AT_ONCE", 100)
        short, long = self.added(api, 500), self.added(api, 1_000)
        for _ in range(4):
            assert api.post(f"/bills/{long}/line-items/batch", {"line_items": [HUNG] * 1_000}).status_code == 200

        def peak(bill_id: str) -> int:
            tracemalloc.start()
            answer, parts = self.begun(api, f"&bill_id={bill_id}")
            assert sum(part.count(b"\n") for part in parts) == api.bill(bill_id)["item_count"]
            answer.close()
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return highest

        peak(short)
        assert peak(long) < 1.5 * peak(short)
