"""Everything that is refused whatever the bill's state: 400 (or what HTTP has of its own), and nothing changed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any
from unittest.mock import sentinel

import pytest
from sqlalchemy import Engine, text

from tests.support.api import HUNG, Api, in_days

ITEM, OPEN, PERIOD, CLOSE, BATCH, CUSTOMER = (
    "/bills/{bill}/line-items",
    "/bills",
    "/bills/{bill}/period",
    "/bills/{bill}/close",
    "/bills/{bill}/line-items/batch",
    "/customers",
)
BILL = {"customer_id": "c", "period_start": "2026-11-01T00:00:00Z", "period_end": in_days(30)}
MISSING = sentinel.missing


@dataclass
class Wrong:
    name: str
    path: str
    body: Any
    field: str | None = None
    message: str | None = None
    reason: str | None = None
    status: int = 400
    method: str = "POST"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


def wrong_item(name: str, field: str, value: Any, message: str | None = None, reason: str | None = None) -> Wrong:
    body = {key: given for key, given in {**HUNG, field: value}.items() if given is not MISSING}
    return Wrong(f"{name} as {field}", ITEM, body, field, message, reason)


def raw_item(name: str, field: str, token: str, reason: str | None = None) -> Wrong:
    """A JSON token that Python's own writer would not write."""
    body = json.dumps({**HUNG, field: "TOKEN"}).replace('"TOKEN"', token).encode()
    return Wrong(f"{name} as {field}", ITEM, body, None if reason else field, reason=reason)


def wrong_bill(name: str, field: str, value: Any, message: str | None = None) -> Wrong:
    body = {key: given for key, given in {**BILL, field: value}.items() if given is not MISSING}
    return Wrong(f"{name} as {field}", OPEN, body, field, message)


def wrong_read(name: str, path: str, field: str | None, reason: str | None = None) -> Wrong:
    return Wrong(name, path, None, field, reason=reason, method="GET")


NUMBERS = [
    wrong_item(f"{value!r}", field, value)
    for field in ("quantity", "unit_price")
    for value in (
        "NaN", "Infinity", "-Infinity", "sNaN", "1e3", "1E+999999", " 1 ", "1_000", "\u0661", "\uff11", "+1", ".5",
        "5.", "0x10", "", "01", "1" * 101, "1\n", "1,5", True, False, None, [], {}, ["1"], "1" + "0" * 13,
    )
]  # fmt: skip
RAW_NUMBERS = [
    *[raw_item(token, f, token) for f in ("quantity", "unit_price") for token in ("1e400", "1E+999999", "1e-999999")],
    *[raw_item(token, "quantity", token, "malformed_request") for token in ("NaN", "Infinity", "-Infinity", "1_0")],
    raw_item("a number of 101 digits", "quantity", "1" * 101, "malformed_request"),
    raw_item("an endless exponent", "quantity", "1e9999999999999999999999", "malformed_request"),
    raw_item("01", "quantity", "01", "malformed_request"),
]
AMOUNTS = [
    wrong_item("0", "quantity", 0, "quantity must be greater than zero"),
    wrong_item("-1", "quantity", -1, "quantity must be greater than zero"),
    wrong_item("-0.01", "unit_price", "-0.01", "unit_price cannot be negative"),
    wrong_item("7 decimals", "quantity", "0.0000001"),
    wrong_item("13 decimals", "unit_price", "0.0000000000001"),
    wrong_item("more than 10^12", "quantity", "1000000000000.000001"),
    Wrong(
        "a total of more than 10^15", ITEM, {**HUNG, "quantity": "1000000", "unit_price": "1000000001"}, "unit_price"
    ),
    *[
        wrong_item(f"{name} for nothing", field, value, f"{field} is required", "required")
        for field in ("quantity", "unit_price")
        for name, value in (("no field", MISSING), ("null", None), ("an empty text", ""))
    ],
    Wrong("nothing at all", ITEM, {}, "description", "description is required"),
    Wrong("a price alone", ITEM, {"description": "a", "unit_price": 1}, "quantity", "quantity is required"),
]
TEXTS = [
    wrong_item("nothing", "description", MISSING, "description is required", "required"),
    wrong_item("nothing to see", "description", " \t ", "description is required", "required"),
    wrong_item("501 characters", "description", "ß" * 501, "description cannot exceed 500 characters"),
    wrong_item("NUL", "description", "a\0b"),
    wrong_item("a lone surrogate", "description", "a\ud800b"),
    wrong_item("an escape", "description", "a\x1b[31m"),
    wrong_item("a number", "description", 5),
    wrong_item("a list", "description", ["a"]),
]
CURRENCIES = [
    wrong_item(repr(code), "currency", code, "unsupported currency", "unsupported_currency")
    for code in (
        "usd",
        "XXX",
        "XAU",
        "USD\n",
        " USD",
        "US",
        "",
        "ÜSD",
        "\uff35\uff33\uff24",
        "XTS",
        "XOF",
        840,
        None,
        MISSING,
    )
]
BODIES = [
    Wrong("no JSON", ITEM, b"hello", reason="malformed_request"),
    Wrong("an empty body", ITEM, b"", reason="malformed_request"),
    Wrong("a cut-off body", ITEM, json.dumps(HUNG).encode()[:-1], reason="malformed_request"),
    Wrong("two values", ITEM, json.dumps(HUNG).encode() * 2, reason="malformed_request"),
    Wrong("a list", ITEM, [HUNG], reason="malformed_request"),
    Wrong("null", ITEM, b"null", reason="malformed_request"),
    Wrong("a byte order mark", ITEM, b"\xef\xbb\xbf" + json.dumps(HUNG).encode(), reason="malformed_request"),
    Wrong("bad UTF-8", ITEM, b'{"description": "\xff"}', reason="malformed_request"),
    Wrong("UTF-16", ITEM, json.dumps(HUNG).encode("utf-16"), reason="malformed_request"),
    Wrong("an overlong encoding", ITEM, b'{"description": "\xc0\x80"}', reason="malformed_request"),
    Wrong("a duplicate key", ITEM, b'{"quantity": 1, "quantity": 2}', "quantity", reason="duplicate_field"),
    Wrong("a duplicate key deep down", ITEM, b'{"quantity": {"a": 1, "a": 2}}', "a", reason="duplicate_field"),
    Wrong("an unknown field", ITEM, {**HUNG, "total": 1}, "total", reason="unknown_field"),
    Wrong("an unknown field that can't be written", ITEM, b'{"\\ud800\\u0000": 1}', reason="unknown_field"),
    Wrong("1,000 levels of lists", ITEM, b"[" * 1_000 + b"]" * 1_000, reason="malformed_request"),
    Wrong("1,000 levels of objects", ITEM, b'{"a":' * 1_000 + b"1" + b"}" * 1_000, reason="malformed_request"),
    Wrong("30,000 levels", ITEM, b"[" * 30_000, reason="malformed_request"),
    Wrong("a raw line break in a text", ITEM, b'{"description": "a\nb"}', reason="malformed_request"),
]
MEDIA = [
    Wrong(f"content type {kind}", ITEM, json.dumps(HUNG).encode(), status=415, headers={"Content_Type": kind})
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/jsonp",
        "",
    )
] + [
    Wrong("a compressed body", ITEM, b"\x1f\x8b", status=415, headers={"Content_Encoding": "gzip"}),
    Wrong("an answer that isn't JSON", ITEM, HUNG, status=406, headers={"Accept": "text/html, application/xml"}),
    Wrong("a body of 64 KB and a byte", ITEM, b" " * (64 * 1024 + 1), status=413, reason="body_too_large"),
    Wrong("a batch of 2 MB and a byte", BATCH, b" " * (2 * 1024 * 1024 + 1), status=413, reason="body_too_large"),
]
BILLS = [
    wrong_bill("nothing", "customer_id", MISSING, "customer_id is required"),
    wrong_bill("blanks", "customer_id", "  ", "customer_id is required"),
    wrong_bill("two lines", "customer_id", "a\nb"),
    wrong_bill("256 characters", "customer_id", "a" * 256),
    wrong_bill("a number", "customer_id", 7),
    wrong_bill("nothing", "period_start", MISSING, "period_start is required"),
    wrong_bill("nothing", "period_end", MISSING, "period_end is required"),
    wrong_bill("null", "period_end", None, "period_end is required"),
    Wrong("an end at the start", OPEN, {**BILL, "period_start": BILL["period_end"]}, "period_end",
          "period_end must be after period_start"),
    wrong_bill("the past", "period_end", in_days(-0.1)),
    wrong_bill("more than 366 days after the start", "period_end", in_days(400)),
    # Longer than 366 days as well, since its end lies ahead: which of the two is said doesn't matter.
    Wrong("more than 366 days ago as period_start", OPEN, {**BILL, "period_start": in_days(-367)}),
    *[
        wrong_bill(instant, "period_end", instant)
        for instant in (
            "2027-01-01", "2027-01-01T00:00:00", "2027-01-01T24:00:00Z", "2027-01-01T23:59:60Z", "2027-02-30T00:00:00Z",
            "0001-01-01T00:00:00+14:00", "2027-01-01T00:00:00+24:00", "2027-01-01 00:00:00Z", "20270101T000000Z",
            "2027-01-01T00:00Z", "\u0662027-01-01T00:00:00Z", "2027-01-01T00:00:00Z\n", "now", 1798761600, True,
            ["x"], {},
        )
    ],
]  # fmt: skip
VERSIONS = [
    Wrong(f"{value!r} as expected_version", path, {**rest, "expected_version": value}, "expected_version")
    for path, rest in ((CLOSE, {}), (PERIOD, {"period_end": in_days(40)}))
    for value in ("1", 0, -1, 1.5, True, None, [], 2**63)
] + [
    Wrong("nothing as period_end", PERIOD, {}, "period_end", "period_end is required"),
    Wrong("a list as period_end", PERIOD, {"period_end": []}, "period_end"),
    Wrong("an unknown field of a close", CLOSE, {"force": True}, "force", reason="unknown_field"),
    Wrong("a reversal without reason", "/bills/{bill}/line-items/{item}/reversal", {}, "reason", "reason is required"),
]
BATCHES = [
    Wrong(f"{value!r} as line_items", BATCH, {"line_items": value}, "line_items") for value in (None, [], {}, "x", 5)
] + [
    Wrong("1,001 rows", BATCH, {"line_items": [HUNG] * 1_001}, "line_items"),
    Wrong("an unknown field beside the rows", BATCH, {"line_items": [HUNG], "x": 1}, "x", reason="unknown_field"),
    Wrong("a duplicate key in a row", BATCH, b'{"line_items": [{"key": "a", "key": "b"}]}', "key"),
]
KEYS = [
    Wrong(f"idempotency key {key!r}", ITEM, HUNG, "Idempotency-Key", headers={"Idempotency_Key": key})
    for key in ("", "a" * 256, "ключ".encode().decode("latin-1"), "a\tb", "a\x7f")
]
CUSTOMERS = [
    Wrong("nothing as id", CUSTOMER, {"name": "a"}, "id", "id is required"),
    Wrong("two lines as id", CUSTOMER, {"id": "a\nb"}, "id"),
    Wrong("a number as name", CUSTOMER, {"id": "a", "name": 5}, "name"),
    Wrong("256 characters as name", CUSTOMER, {"id": "a", "name": "a" * 256}, "name"),
    Wrong("no address as email", CUSTOMER, {"id": "a", "email": "nobody"}, "email"),
    Wrong("an unknown field", CUSTOMER, {"id": "a", "phone": "1"}, "phone", reason="unknown_field"),
]
READS = [
    *[wrong_read(f"limit={v!r}", f"/bills?limit={v}", "limit") for v in ("-1", "0", "101", "x", "", "1.5")],
    *[wrong_read(f"limit={v!r}", f"/bills?limit={v}", "limit") for v in ("%D9%A1", "%2B1", "1e1", "9" * 5_000)],
    *[wrong_read(f"after={v!r}", f"/bills/{{bill}}/events?after={v}", "after") for v in ("-1", "x", "9" * 30, "")],
    *[wrong_read(f"status={v!r}", f"/bills?status={v}", "status") for v in ("Open", "", "paid", "open%0A")],
    *[wrong_read(f"currency={v!r}", f"/bills?currency={v}", "currency") for v in ("usd", "XXX", "", "USD%0A")],
    *[wrong_read(f"currency={v!r} of a bill", f"/bills/{{bill}}?currency={v}", "currency") for v in ("usd", "XOF", "")],
    *[wrong_read(f"from={v!r}", f"/bills?from={v}", "from") for v in ("yesterday", "", "2026-01-01T00:00:00")],
    *[
        wrong_read(f"cursor={v!r}", f"/bills?cursor={v}", "cursor", "invalid_cursor")
        for v in ("x", "", "a.b", "%00", "W10.x", "%C3%A9", "." * 100)
    ],
    wrong_read("a base that isn't offered", "/rates?base=XXX", "base", "unsupported_currency"),
    wrong_read("NUL in a search", "/bills?q=a%00b", "q"),
    wrong_read("a search of 256 characters", "/bills?q=" + "a" * 256, "q"),
    wrong_read("an unknown parameter", "/bills?colour=red", "colour", "unknown_parameter"),
    wrong_read("a parameter that another call has", "/bills/{bill}/events?cursor=x", "cursor", "unknown_parameter"),
    wrong_read("a parameter twice", "/bills?limit=1&limit=2", "limit"),
    wrong_read("bad UTF-8 in the query", "/bills?q=%FF", None, "malformed_query"),
    Wrong("a currency nobody offers on a change", ITEM + "?currency=XOF", HUNG, "currency"),
    Wrong("an unknown parameter of a change", OPEN + "?dry_run=1", BILL, "dry_run", reason="unknown_parameter"),
]  # fmt: skip

EVERYTHING = [
    *NUMBERS, *RAW_NUMBERS, *AMOUNTS, *TEXTS, *CURRENCIES, *BODIES, *MEDIA, *BILLS, *VERSIONS, *BATCHES, *KEYS,
    *CUSTOMERS, *READS,
]  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> dict[str, str]:
    """One bill for all: no refusal changes it."""
    return {}


@pytest.fixture
def targets(api: Api, shared: dict[str, str]) -> dict[str, str]:
    if not shared:
        shared["bill"] = api.opened("refused")
        shared["item"] = api.added(shared["bill"])["id"]
    return shared


@pytest.mark.parametrize("wrong", EVERYTHING, ids=lambda wrong: wrong.name)
def test_it_is_refused_and_nothing_changes(wrong: Wrong, api: Api, engine: Engine, targets: dict[str, str]):
    before = everything_stored(engine)

    answer = api.call(wrong.method, wrong.path.format(**targets), wrong.body, wrong.headers)

    assert answer.status_code == wrong.status, answer.text
    assert answer.mimetype == "application/json"
    assert set(answer.json) == {"code", "message", "details"}
    assert answer.json["code"] == "invalid_argument"
    assert answer.json["details"]["request_id"] == answer.headers["X-Request-Id"]
    assert wrong.field is None or answer.json["details"]["field"] == wrong.field
    assert wrong.message is None or answer.json["message"] == wrong.message
    assert wrong.reason is None or answer.json["details"]["reason"] == wrong.reason
    assert everything_stored(engine) == before


def everything_stored(engine: Engine) -> dict[str, Any]:
    tables = ("bills", "line_items", "bill_subtotals", "customers", "events", "idempotency_keys", "line_item_requests")
    with engine.connect() as connection:
        return {
            table: connection.execute(text(f"SELECT {table}::text FROM {table}")).scalars().all() for table in tables
        }


class TestWhatIsJustRight:
    """Neighbours of the refusals that are fine."""

    @pytest.mark.parametrize(
        "values",
        [
            {"quantity": "1000000000000", "unit_price": "1000"},
            {"quantity": "0.000001", "unit_price": "0.000000000001"},
            {"quantity": "1.000000000000", "unit_price": "0.50000000000000"},
            {"unit_price": 0},
            {"description": "ß" * 500},
            {"description": "<script>alert('₾')</script> =1+1 'DROP TABLE"},
            {"description": "two\nlines\tand a tab"},
        ],
    )
    def test_it_is_accepted(self, api: Api, values: dict[str, Any]):
        item = api.added(api.opened(), **values)

        assert "description" not in values or item["description"] == values["description"]

    @pytest.mark.parametrize(("token", "quantity"), [("1e2", "100"), ("6.000", "6"), ("1E-3", "0.001"), ("60e-1", "6")])
    def test_numbers_may_have_exponents(self, api: Api, token: str, quantity: str):
        body = json.dumps({**HUNG, "quantity": "TOKEN"}).replace('"TOKEN"', token).encode()

        answer = api.post(f"/bills/{api.opened()}/line-items", body)

        assert answer.json["line_item"]["quantity"] == quantity

    def test_a_body_of_64_kb_is_read(self, api: Api):
        body = json.dumps(HUNG).encode().ljust(64 * 1024)

        assert api.post(f"/bills/{api.opened()}/line-items", body).status_code == 200

    def test_a_parameterised_content_type_is_json(self, api: Api):
        body = json.dumps(HUNG).encode()

        answer = api.post(f"/bills/{api.opened()}/line-items", body, Content_Type="application/json; charset=UTF-8")

        assert answer.status_code == 200

    def test_go_clients_nanoseconds_are_cut_off(self, api: Api):
        bill_id = api.opened(period_end=in_days(5).replace("Z", "999+00:00"))

        assert api.bill(bill_id)["period_end"].endswith("Z")
