"""Files of line items: taken in whole or refused whole, each row with its outcome, safe to send again."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, exc, text

from billing.ledger import import_retention, imports
from billing.origin import Origin
from tests.support.api import HUNG, Api
from tests.support.connected import answered
from tests.support.imports import CSV, carried_out, csv_of, imported, ndjson, report_of, row, sent, stored
from tests.support.ledger import OFFERED
from webapp import slow_senders
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope
from webapp.imports import files

COUNT = text("SELECT (SELECT count(*) FROM imports), (SELECT count(*) FROM import_rows)")
CURSE = "CONSTRAINT no_curse CHECK (description <> 'cursed')"


def test_every_row_of_a_file_has_its_outcome(api: Api, engine: Engine):
    bill_id = api.opened()
    rows = [row(), row(quantity="many"), row(unit_price="0.005", currency="USD", key="a")]
    done = imported(api, engine, ndjson(rows), bill_id)
    assert (done["state"], done["rows"], done["done"]) == ("done", 3, 3)
    assert (done["added"], done["replayed"], done["rejected"]) == (2, 0, 1)
    first, second, third = done["report"]
    items = api.get(f"/bills/{bill_id}/line-items").json["data"]
    assert [first["line_item_id"], third["line_item_id"]] == [item["id"] for item in items]
    assert [second[name] for name in ("row", "line", "outcome", "code", "reason", "field", "message")] == [
        2, 2, "rejected", "invalid_argument", "invalid_value", "quantity", "quantity must be a decimal number",
    ]  # fmt: skip
    assert third["key"] == "a"
    assert api.bill(bill_id)["total"]["by_currency"] == {"GEL": "3.6", "USD": "0.03"}


def test_the_answer_says_where_it_can_be_watched(api: Api):
    answer = sent(api, ndjson([row(), "no row"]), api.opened())
    assert answer.status_code == 202
    watched = api.client.get(answer.headers["Location"], headers=api.credentials).json["data"]
    assert watched == answer.json["data"]
    assert (watched["state"], watched["done"], watched["rejected"], watched["started_at"]) == ("waiting", 1, 1, None)
    assert [one["outcome"] for one in report_of(api, watched["id"])] == ["pending", "rejected"]


def test_rows_name_their_bills(api: Api, engine: Engine):
    bills = [api.opened() for _ in range(3)]
    rows = [row(bill_id=bills[n % 3]) for n in range(9)]
    others = [row(), row(bill_id="x"), row(bill_id=str(uuid4())), row(bill_id=5)]
    done = imported(api, engine, ndjson([*rows, *others]))
    assert (done["added"], done["rejected"], done["bill_id"]) == (9, 4, None)
    assert [api.bill(bill_id)["item_count"] for bill_id in bills] == [3, 3, 3]
    told = [(one["reason"], one["field"]) for one in done["report"][9:]]
    assert told == [
        ("required", "bill_id"),
        ("bill_not_found", "bill_id"),
        ("bill_not_found", None),
        ("invalid_value", "bill_id"),
    ]


def test_a_row_that_names_another_bill_than_the_import_is_rejected(api: Api, engine: Engine):
    bill_id, other = api.opened(), api.opened()
    done = imported(api, engine, ndjson([row(bill_id=bill_id), row(bill_id=other)]), bill_id)
    assert [one["outcome"] for one in done["report"]] == ["added", "rejected"]
    assert api.bill(other)["item_count"] == 0


def test_csv_is_read_with_either_delimiter_and_a_byte_order_mark(api: Api, engine: Engine):
    bill_id = api.opened()
    for delimiter in ",;":
        rows = [row(description='a "b"\nc; d, e', key=f"k{delimiter}"), row(description="=1+1", key="")]
        content = b"\xef\xbb\xbf" + csv_of(rows, *HUNG, "key", delimiter=delimiter)
        done = imported(api, engine, content, bill_id, media=CSV)
        assert (done["added"], done["format"]) == (2, "csv")
        assert [(one["line"], one["key"]) for one in done["report"]] == [(2, f"k{delimiter}"), (4, None)]
    described = {item["description"] for item in api.get(f"/bills/{bill_id}/line-items").json["data"]}
    assert described == {'a "b"\nc; d, e', "=1+1"}


def test_a_decimal_comma_is_refused_in_words_that_say_so(api: Api, engine: Engine):
    content = csv_of([row(quantity="1,5"), row(unit_price="1,840.00"), row()], *HUNG, delimiter=";")
    done = imported(api, engine, content, api.opened(), media=CSV)
    assert [one["outcome"] for one in done["report"]] == ["rejected", "rejected", "added"]
    assert [one["field"] for one in done["report"][:2]] == ["quantity", "unit_price"]
    assert "decimal point" in done["report"][0]["message"]


def test_columns_may_stand_in_any_order_and_be_left_out_where_they_are_optional(api: Api, engine: Engine):
    content = b"Unit Price;currency;Quantity;description\r\n0.6;GEL;6;hung\r\n\r\n0.6;GEL;6\r\n"
    done = imported(api, engine, content, api.opened(), media=CSV)
    assert [(one["line"], one["outcome"]) for one in done["report"]] == [(2, "added"), (4, "rejected")]


@pytest.mark.parametrize(
    ("content", "media", "reason"),
    [
        (b"", "application/x-ndjson", "no_rows"),
        (b"\n \n", "application/x-ndjson", "no_rows"),
        (b"", CSV, "no_rows"),
        (b"\xef\xbb\xbf\r\n", CSV, "no_rows"),
        (b"description,quantity,unit_price,currency\r\n", CSV, "no_rows"),
        (ndjson([row()]) + b"\xff\n", "application/x-ndjson", "malformed_request"),
        (b"description,quantity,unit_price,currency\r\n\xff,1,1,GEL\r\n", CSV, "malformed_request"),
        (b'description,quantity,unit_price,currency\r\n"a,1,1,GEL\r\n', CSV, "malformed_request"),
        (b"description,quantity,unit_price,currency\r\n" + b"a" * 70_000, CSV, "malformed_request"),
        (b"description,quantity,unit_price,currency,colour\r\na,1,1,GEL,red\r\n", CSV, "unknown_field"),
        (b"description,quantity,unit_price,currency,Quantity\r\na,1,1,GEL,1\r\n", CSV, "duplicate_field"),
        (b"description,quantity,unit_price\r\na,1,1\r\n", CSV, "required"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_whole(
    api: Api, engine: Engine, content: bytes, media: str, reason: str
):
    before = count(engine)
    answer = sent(api, content, api.opened(), media=media)
    assert (answer.status_code, answer.json["details"]["reason"]) == (400, reason)
    assert count(engine) == before


LONG = b'"' + b"a\n" * 40_000 + b'"'
HEADING = b"description,quantity,unit_price,currency\r\n"


@pytest.mark.parametrize("content", [HEADING + LONG + b",1,1,GEL\r\n", LONG + b"," + HEADING])
def test_a_row_that_goes_on_over_many_lines_is_no_longer_than_one_of_one_line(api: Api, content: bytes):
    answer = sent(api, content, api.opened(), media=CSV)
    assert (answer.status_code, answer.json["details"]["reason"]) == (400, "malformed_request")
    assert "too long" in answer.json["message"]


def test_many_short_rows_may_be_longer_than_one(api: Api):
    content = b"\r\n" * 70_000 + HEADING + b"a,1,1,GEL\r\n" * 2 + b"\r\n" * 70_000 + b"a,1,1,GEL\r\n" * 7_000
    assert sent(api, content, api.opened(), media=CSV).json["data"]["rows"] == 7_002


def test_a_byte_order_mark_costs_no_row(api: Api, engine: Engine):
    done = imported(api, engine, b"\xef\xbb\xbf" + ndjson([row(), row()]), api.opened())
    assert [one["outcome"] for one in done["report"]] == ["added", "added"]
    # Anywhere else it is none.
    done = imported(api, engine, ndjson([row()]) + b"\xef\xbb\xbf" + ndjson([row()]), api.opened())
    assert [one["outcome"] for one in done["report"]] == ["added", "rejected"]


def test_a_row_of_empty_cells_is_in_the_report(api: Api, engine: Engine):
    content = HEADING + b"a,1,1,GEL\r\n,,,\r\n\r\na,1,1,GEL\r\n"
    done = imported(api, engine, content, api.opened(), media=CSV)
    told = [(one["line"], one["outcome"]) for one in done["report"]]
    assert told == [(2, "added"), (3, "rejected"), (5, "added")]


def test_rows_are_read_as_strictly_as_bodies(api: Api, engine: Engine):
    lines = [
        b'{"description": "a", "quantity": 1, "quantity": 2, "unit_price": 1, "currency": "GEL"}',
        b'{"description": "a", "quantity": NaN, "unit_price": 1, "currency": "GEL"}',
        b'{"description": "a", "quantity": 1, "unit_price": 1, "currency": "GEL", "colour": "\\ud800"}',
        b'{"description": "\\u0000", "quantity": 1, "unit_price": 1, "currency": "GEL", "source": "\\u0000"}',
        b"[" * 10_000,
        b"[]",
        b"nothing",
        b'"' + b"a" * 70_000 + b'"',
        b'{"description": "a", "quantity": 1e2, "unit_price": 1, "currency": "GEL"}',
    ]
    done = imported(api, engine, b"\n".join(lines), api.opened())
    assert [one["reason"] for one in done["report"]] == [
        "duplicate_field", "malformed_request", "unknown_field", "invalid_value", "malformed_request", "invalid_value",
        "malformed_request", "invalid_value", None,
    ]  # fmt: skip


def test_more_rows_than_an_import_takes_are_refused_whole(api: Api, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    from webapp.imports import staging

    monkeypatch.setattr(staging, "MOST_ROWS", 3)
    bill_id = api.opened()
    assert sent(api, ndjson([row()] * 4), bill_id).json["details"]["reason"] == "too_many_rows"
    assert sent(api, ndjson([row()] * 3), bill_id).status_code == 202


def test_a_longer_file_is_refused_by_its_length_and_at_the_limit(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "LONGEST_FILE", 1_000)
    bill_id = api.opened()
    length = {**api.credentials, "Content-Type": "application/x-ndjson", "Content-Length": "1001"}
    body = io.BytesIO(b" " * 1_001)
    by_length = api.client.post(f"/api/v1/imports?bill_id={bill_id}", headers=length, input_stream=body)
    assert (by_length.status_code, body.tell()) == (413, 0)
    chunked = api.client.post(
        f"/api/v1/imports?bill_id={bill_id}",
        headers={**api.credentials, "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"},
        input_stream=io.BytesIO(b" " * 10_000),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (chunked.status_code, chunked.json["details"]["reason"]) == (413, "body_too_large")


class TestOverAConnection:
    """Of the server's own reading, which takes an end for the end."""

    def sent(self, app: Flask, api: Api, send, **headers: str):
        given = {"Host": "localhost", **api.credentials, "Content-Type": "application/x-ndjson"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return answered(app, f"/api/v1/imports?bill_id={api.opened()}", given, send)

    def test_a_whole_file_is_taken_in(self, app: Flask, api: Api):
        content = ndjson([row()] * 3)
        answer = self.sent(app, api, lambda to: to.sendall(content), Content_Length=str(len(content)))
        assert (answer.status_code, answer.json["data"]["rows"]) == (202, 3)

    @pytest.mark.parametrize("chunked", [False, True])
    def test_one_that_is_cut_off_is_refused_whole(self, app: Flask, api: Api, engine: Engine, chunked: bool):
        """Even at the end of a row."""
        part, before = ndjson([row()] * 3), count(engine)

        def send(to: socket.socket) -> None:
            to.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            to.shutdown(socket.SHUT_WR)

        framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": str(2 * len(part))}
        answer = self.sent(app, api, send, **framing)
        assert (answer.status_code, answer.json["details"]["reason"]) == (400, "malformed_request")
        assert count(engine) == before

    def test_one_that_comes_byte_by_byte_is_given_up_in_time(
        self, app: Flask, api: Api, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ):
        """Each of them well within the time for a piece."""
        monkeypatch.setattr(slow_senders, "UPLOAD_WITHIN_S", 0.3)
        before, over = count(engine), threading.Event()

        def send(to: socket.socket) -> None:
            for byte in ndjson([row()] * 3):
                if over.wait(0.02):
                    return
                to.sendall(bytes([byte]))

        began_s = time.monotonic()
        answer = self.sent(app, api, send, Content_Length=str(len(ndjson([row()] * 3))))
        over.set()
        assert answer.status_code == 400
        assert answer.json["message"] == "the body came too slowly"
        assert time.monotonic() - began_s < 3
        assert count(engine) == before


@pytest.mark.parametrize("media", ["application/json", "text/plain", "text/csv; charset=latin-1"])
def test_other_media_are_refused(api: Api, media: str):
    assert sent(api, b"x", api.opened(), media=media).status_code == 415


def test_the_same_key_repeats_the_import_and_another_file_under_it_is_refused(api: Api, engine: Engine):
    bill_id, key = api.opened(), uuid4().hex
    first = sent(api, ndjson([row()]), bill_id, Idempotency_Key=key)
    again = sent(api, ndjson([row()]), bill_id, Idempotency_Key=key)
    assert again.json["data"]["id"] == first.json["data"]["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert sent(api, ndjson([row(), row()]), bill_id, Idempotency_Key=key).status_code == 409
    assert sent(api, ndjson([row()]), api.opened(), Idempotency_Key=key).status_code == 409
    carried_out(engine, first.json["data"]["id"])
    assert api.bill(bill_id)["item_count"] == 1


def test_the_same_file_again_adds_only_rows_without_a_key_and_a_reference(api: Api, engine: Engine):
    bill_id = api.opened()
    content = ndjson([row(key="a"), row(source="shop", reference="1"), row()])
    imported(api, engine, content, bill_id)
    again = imported(api, engine, content, bill_id)
    assert [one["outcome"] for one in again["report"]] == ["replayed", "replayed", "added"]
    assert api.bill(bill_id)["item_count"] == 4


def test_a_row_with_the_key_of_an_earlier_one_repeats_it(api: Api, engine: Engine):
    rows = [row(key="a"), row(key="a"), row(key="a", quantity=7)]
    done = imported(api, engine, ndjson(rows), api.opened())
    assert [one["outcome"] for one in done["report"]] == ["added", "replayed", "rejected"]
    assert done["report"][2]["reason"] == "idempotency_key_reused"


def test_rows_after_the_close_of_their_bill_are_rejected(api: Api, engine: Engine, close, monkeypatch):
    from billing.ledger import importing

    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", 2)
    bill_id = api.opened()
    import_id = sent(api, ndjson([row()] * 5), bill_id).json["data"]["id"]
    assert importing.take_some(engine, import_id, OFFERED).rows == 2
    close(bill_id)
    carried_out(engine, import_id)
    report = report_of(api, import_id)
    assert [one["outcome"] for one in report] == ["added"] * 2 + ["rejected"] * 3
    assert {one["reason"] for one in report[2:]} == {"bill_closed"}
    assert api.bill(bill_id)["item_count"] == 2


def test_a_cancelled_import_leaves_out_what_has_no_outcome(api: Api, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    from billing.ledger import importing

    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", 2)
    bill_id = api.opened()
    import_id = sent(api, ndjson([row()] * 3), bill_id).json["data"]["id"]
    importing.take_some(engine, import_id, OFFERED)
    assert api.get(f"/imports/{import_id}").json["data"]["state"] == "running"
    for _ in range(2):
        assert api.post(f"/imports/{import_id}/cancel").json["data"]["state"] == "cancelled"
    carried_out(engine, import_id)
    assert [one["outcome"] for one in report_of(api, import_id)] == ["added", "added", "skipped"]
    assert api.bill(bill_id)["item_count"] == 2


def test_imports_are_their_accounts_own(api: Api, admin: Api, client: FlaskClient, engine: Engine):
    import_id = sent(api, ndjson([row()]), api.opened()).json["data"]["id"]
    for path in (f"/imports/{import_id}", f"/imports/{import_id}/report"):
        assert admin.get(path).json["details"]["reason"] == "import_not_found"
    assert admin.post(f"/imports/{import_id}/cancel").status_code == 404
    assert import_id not in {one["id"] for one in admin.get("/imports").json["data"]}
    assert api.get("/imports").json["data"][0]["id"] == import_id
    reader = Api(client, api_keys.create(engine, name="reader", scopes=[Scope.BILLS_READ]))
    assert sent(reader, ndjson([row()])).json["details"]["reason"] == "scope_missing"


def test_lists_go_on_behind_their_cursor(api: Api):
    bill_id = api.opened()
    made = [sent(api, ndjson([row()]), bill_id).json["data"]["id"] for _ in range(3)]
    first = api.get("/imports?limit=2").json
    second = api.get(f"/imports?limit=2&cursor={first['next_cursor']}").json
    assert [one["id"] for one in (*first["data"], *second["data"])][:3] == made[::-1]


def test_a_bound_key_imports_onto_its_customers_bills_alone(api: Api, client: FlaskClient, engine: Engine):
    own, other = api.opened("bound-one"), api.opened("other-one")
    bound = Api(client, api_keys.create(engine, name="bound", role=Role.OPERATOR, customers=["bound-one"]))
    both = ndjson([row(bill_id=own), row(bill_id=other)])
    done = imported(bound, engine, both)
    assert [(one["outcome"], one["reason"]) for one in done["report"]] == [
        ("added", None),
        ("rejected", "bill_not_found"),
    ]
    assert sent(bound, ndjson([row()]), other).json["details"]["reason"] == "bill_not_found"
    # Another key of the account isn't bound: what it imports may be about others.
    free = Api(client, api_keys.create(engine, name="bound", role=Role.OPERATOR))
    import_id = sent(free, both).json["data"]["id"]
    assert bound.get(f"/imports/{import_id}").status_code == 404
    assert [one["id"] for one in bound.get("/imports").json["data"]] == [done["id"]]
    assert free.get(f"/imports/{done['id']}").status_code == 200


def test_a_bound_key_repeats_no_import_of_a_key_that_is_not(api: Api, client: FlaskClient, engine: Engine):
    other, key = api.opened("other-one"), uuid4().hex
    free = Api(client, api_keys.create(engine, name="repeated", role=Role.OPERATOR))
    bound = Api(client, api_keys.create(engine, name="repeated", role=Role.OPERATOR, customers=["bound-one"]))
    content = ndjson([row(bill_id=other)])
    assert sent(free, content, Idempotency_Key=key).status_code == 202
    answer = sent(bound, content, Idempotency_Key=key)
    assert (answer.status_code, answer.json["details"]["reason"]) == (409, "idempotency_key_reused")


def test_a_key_that_is_revoked_adds_nothing_more(api: Api, client: FlaskClient, engine: Engine):
    bill_id, token = api.opened(), api_keys.create(engine, name="leaked", role=Role.OPERATOR)
    import_id = sent(Api(client, token), ndjson([row()] * 2), bill_id).json["data"]["id"]
    key = next(one for one in api_keys.every(engine) if one.name == "leaked")
    api_keys.revoke(engine, key.id)
    carried_out(engine, import_id)
    assert api.bill(bill_id)["item_count"] == 0
    after = Api(client, api_keys.create(engine, name="leaked", role=Role.OPERATOR))
    assert {one["reason"] for one in report_of(after, import_id)} == {"invalid_credentials"}


def test_a_currency_that_is_no_longer_offered_is_refused_but_for_repeats(api: Api, engine: Engine):
    bill_id = api.opened()
    content = ndjson([row(key="a"), row(source="shop", reference="w"), row(key="b")])
    imported(api, engine, ndjson([row(key="a"), row(source="shop", reference="w")]), bill_id)
    import_id = sent(api, content, bill_id).json["data"]["id"]
    carried_out(engine, import_id, offered=["USD"])
    report = report_of(api, import_id)
    assert [one["outcome"] for one in report] == ["replayed", "replayed", "rejected"]
    assert report[2]["reason"] == "unsupported_currency"


def test_nor_what_was_asked_for_while_it_was_offered(api: Api, engine: Engine):
    bill_id = api.opened()
    asked = api.post(f"/bills/{bill_id}/line-items", row(), Prefer="respond-async", Idempotency_Key="a")
    assert asked.status_code == 202
    import_id = sent(api, ndjson([row(key="a")]), bill_id).json["data"]["id"]
    carried_out(engine, import_id, offered=["USD"])
    assert [one["outcome"] for one in report_of(api, import_id)] == ["added"]


@pytest.mark.parametrize("at_once", [1_000, 7])
def test_a_row_that_the_database_refuses_keeps_no_other_from_being_added(
    api: Api, engine: Engine, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    from billing.ledger import importing

    monkeypatch.setattr(importing, "MOST_ITEMS_IN_A_CALL", at_once)
    bill_id = api.opened()
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE line_items ADD {CURSE} NOT VALID"))
    try:
        done = imported(api, engine, ndjson([row(), row(description="cursed"), row()]), bill_id)
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE line_items DROP CONSTRAINT no_curse"))
    assert [one["reason"] for one in done["report"]] == [None, "row_not_stored", None]
    assert api.bill(bill_id)["item_count"] == 2


def test_rows_are_dropped_after_a_month_and_what_they_came_to_is_kept(api: Api, engine: Engine):
    done, waiting = imported(api, engine, ndjson([row()]), api.opened()), sent(api, ndjson([row()]), api.opened())
    with engine.begin() as connection:
        ago = "billing_now() - interval '31 days'"
        connection.execute(text(f"UPDATE imports SET finished_at = {ago} WHERE id = '{done['id']}'"))
    assert import_retention.prune(engine) == 1
    kept = api.get(f"/imports/{done['id']}").json["data"]
    assert (kept["added"], kept["has_report"]) == (1, False)
    answer = api.get(f"/imports/{done['id']}/report")
    assert (answer.status_code, answer.json["details"]["reason"]) == (404, "import_report_expired")
    assert len(report_of(api, waiting.json["data"]["id"])) == 1


def test_an_import_is_done_with_all_rows_or_not_at_all(api: Api, engine: Engine):
    import_id = sent(api, ndjson([row()]), api.opened()).json["data"]["id"]
    done = text("UPDATE imports SET state = 'done', finished_at = billing_now() WHERE id = :id")
    with pytest.raises(exc.IntegrityError, match="done_with_all_rows"), engine.begin() as connection:
        connection.execute(done, {"id": import_id})


def test_two_that_drop_rows_at_once_leave_none(api: Api, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    """Who comes second finds those gone that the first drops, and says of no other that it was."""
    monkeypatch.setattr(import_retention, "DROPPED_AT_ONCE", 2)
    import_id = imported(api, engine, ndjson([row()] * 5), api.opened())["id"]
    backdated = f"UPDATE imports SET finished_at = billing_now() - interval '31 days' WHERE id = '{import_id}'"
    left = text(f"SELECT count(*) FROM import_rows WHERE import_id = '{import_id}'")
    with engine.begin() as connection:
        connection.execute(text(backdated))
    pruned: list[int] = []
    second = threading.Thread(target=lambda: pruned.append(import_retention.prune(engine)))
    with engine.begin() as first:
        given = {"kept": import_retention.KEPT, "drafts": imports.DRAFT_KEPT, "limit": 2}
        assert first.execute(import_retention._DROP_ROWS, given).rowcount == 2
        second.start()
        while not waits(engine):
            time.sleep(0.01)
    second.join()
    assert pruned == [0]
    with engine.connect() as connection:
        assert connection.execute(left).scalar_one() == 3
    assert api.get(f"/imports/{import_id}").json["data"]["has_report"] is True
    while import_retention.prune(engine):
        pass
    with engine.connect() as connection:
        assert connection.execute(left).scalar_one() == 0
    assert api.get(f"/imports/{import_id}").json["data"]["has_report"] is False


def waits(engine: Engine) -> bool:
    """Whether a statement waits for others' rows."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%import_rows%'")
    with engine.connect() as connection:
        return connection.execute(query).scalar_one() > 0


def test_a_draft_goes_after_its_rows_not_with_them(
    api: Api, engine: Engine, origin: Origin, monkeypatch: pytest.MonkeyPatch
):
    """A hundred thousand at once would be a long statement."""
    draft = stored(engine, origin, [row()] * 3, UUID(api.opened()))
    with engine.begin() as connection:
        old = "state = 'draft', created_at = billing_now() - interval '25 hours'"
        connection.execute(text(f"UPDATE imports SET {old} WHERE id = '{draft.id}'"))
    monkeypatch.setattr(import_retention, "_DROP_ROWS", text("SELECT :kept, :drafts, :limit WHERE false"))
    import_retention.prune(engine)
    assert imports.by_id(engine, draft.id).is_kept
    monkeypatch.undo()
    assert import_retention.prune(engine) == 3
    with pytest.raises(imports.ImportNotFound):
        imports.by_id(engine, draft.id)


def test_an_account_has_so_many_imports_at_once(api: Api, client: FlaskClient, engine: Engine, monkeypatch):
    monkeypatch.setattr(imports, "MOST_UNFINISHED", 1)
    one = Api(client, api_keys.create(engine, name=uuid4().hex, role=Role.OPERATOR))
    bill_id = one.opened()
    import_id = sent(one, ndjson([row()]), bill_id).json["data"]["id"]
    answer = sent(one, ndjson([row()]), bill_id)
    assert (answer.status_code, answer.json["details"]["reason"]) == (429, "too_many_imports")
    carried_out(engine, import_id)
    assert sent(one, ndjson([row()]), bill_id).status_code == 202


def test_a_process_reads_one_file_of_a_caller_at_a_time(api: Api, client: FlaskClient, engine: Engine):
    one = Api(client, api_keys.create(engine, name=uuid4().hex, role=Role.OPERATOR))
    bill_id = one.opened()
    account = imports.by_id(engine, sent(one, ndjson([row()]), bill_id).json["data"]["id"]).account_id
    place = files.PLACES.take(str(account))
    assert sent(one, ndjson([row()]), bill_id).json["details"]["reason"] == "too_many_imports"
    place.release()
    assert sent(one, ndjson([row()]), bill_id).status_code == 202


def test_the_log_says_who_imported_what(api: Api, engine: Engine):
    bill_id = api.opened()
    done = imported(api, engine, ndjson([row(), row(quantity=0)]), bill_id)
    with engine.connect() as connection:
        logged = text("SELECT type, actor_name, data FROM events WHERE subject_id = :id ORDER BY version")
        found = connection.execute(logged, {"id": done["id"]}).all()
    assert found == [
        ("import.started", "ledger-sync", {"bill_id": bill_id, "format": "ndjson", "rows": 2}),
        ("import.finished", "ledger-sync", {"state": "done", "added": 1, "replayed": 0, "rejected": 1}),
    ]


def test_the_report_as_csv_is_for_spreadsheets(api: Api, engine: Engine):
    done = imported(api, engine, ndjson([row(key="=1+1")]), api.opened())
    answer = api.get(f"/imports/{done['id']}/report")
    assert answer.mimetype == CSV
    heading, line = answer.text.splitlines()
    assert heading == "\ufeffrow,line,outcome,bill_id,line_item_id,key,source,reference,code,reason,field,message"
    assert ",'=1+1," in line


SANE = st.sampled_from(["a", "b", ""])
ANY_ROW = st.one_of(
    st.fixed_dictionaries(
        {
            "description": st.one_of(SANE, st.just("x" * 501), st.none()),
            "quantity": st.sampled_from([6, "6", "0", "-1", "1e3", 0.5, True, None, "1.0000001"]),
            "unit_price": st.sampled_from([1, "0.6", "0", "-0.6", "1000000000001", 1e-12]),
            "currency": st.sampled_from(["GEL", "USD", "usd", "XXX"]),
        },
        optional={
            "key": st.sampled_from(["k1", "k2", "k3", "", "\u20ac", 5]),
            "source": st.sampled_from(["shop", None, ""]),
            "reference": st.sampled_from(["r1", "r2", None]),
            "colour": st.just("red"),
        },
    ),
    st.sampled_from([None, [], "row", 5]),
)


@settings(max_examples=40)
@given(rows=st.lists(ANY_ROW, min_size=1, max_size=8))
def test_an_import_of_any_rows_is_a_batch_of_the_same_rows(worlds: Iterator[Any], rows: list[Any]):
    api, engine = worlds
    by_batch, by_file = api.opened(), api.opened()
    batch = api.post(f"/bills/{by_batch}/line-items/batch", {"line_items": rows})
    done = imported(api, engine, ndjson(rows), by_file)
    told = [
        (one["outcome"], one.get("error", {}).get("code"), one.get("error", {}).get("details", {}).get("field"))
        for one in batch.json["outcomes"]
    ]
    assert [(one["outcome"], one["code"], one["field"]) for one in done["report"]] == told
    assert api.bill(by_file)["total"] == api.bill(by_batch)["total"]
    assert api.bill(by_file)["item_count"] == api.bill(by_batch)["item_count"]


@pytest.fixture(scope="module")
def worlds(app, engine: Engine):
    return Api(app.test_client(), api_keys.create(engine, name="properties", role=Role.OPERATOR)), engine


def count(engine: Engine) -> Any:
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT (SELECT count(*) FROM imports), (SELECT count(*) FROM import_rows)")
        ).one()
    return row[0], row[1]
