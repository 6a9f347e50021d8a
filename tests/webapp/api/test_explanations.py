"""Every figure of a bill can be computed again from its explanation alone, with nothing but Decimal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from billing.bill import LineItemDraft
from billing.ledger import bills, closing, line_items
from billing.origin import Origin, by_the_system
from tests.support import rates_history
from tests.support.api import Api
from tests.support.ledger import OFFERED, OpenBill
from webapp.config import Config
from webapp.exports import places, streaming

EXACT = Context(prec=200)

LINES = st.lists(
    st.tuples(
        st.decimals("0.000001", 10**6, places=6),
        st.decimals(0, 10**4, places=12),
        st.sampled_from(OFFERED),
        st.booleans(),
    ),
    max_size=12,
)


@given(lines=LINES, closes=st.booleans(), currency=st.sampled_from(("", *OFFERED)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_on_a_bill(
    viewer: Api,
    engine: Engine,
    origin: Origin,
    open_bill: OpenBill,
    lines: list[tuple[Decimal, Decimal, str, bool]],
    closes: bool,
    currency: str,
) -> None:
    bill = open_bill()
    for quantity, price, code, is_reversed in lines:
        draft = LineItemDraft.parse("Fee", quantity, price, code, offered=OFFERED)
        _, item, _ = line_items.add(engine, origin, bill.id, draft)
        if is_reversed:
            line_items.reverse(engine, origin, bill.id, item.id, "Entered twice")
    if closes:
        bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, by_the_system("test"), bill.id, samples=True)
    query = f"?currency={currency}" if currency else ""

    data = explained(viewer, bill.id, query)

    shown = viewer.bill(str(bill.id), query)
    assert recomputed(data) == {
        "by_currency": shown["total"]["by_currency"],
        "payable": shown["payable"],
        "converted": {code: found["amount"] for code, found in shown["total"]["converted"].items()},
    }
    assert data["rates"]["snapshot_id"] == shown["rates"]["snapshot_id"]
    assert (data["version"], data["status"]) == (shown["version"], shown["status"])


def explained(api: Api, bill_id: UUID, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/bills/{bill_id}/explain{query}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = json.loads(answer.data, parse_float=Decimal)["data"]
    return data


def recomputed(data: dict[str, Any]) -> dict[str, Any]:
    """What the bill comes to by the rules, each figure on the way compared with what stands there."""
    sums: dict[str, Decimal] = {}
    assert [item["position"] for item in data["line_items"]] == list(range(1, data["item_count"] + 1))
    for item in data["line_items"]:
        total = EXACT.multiply(Decimal(item["quantity"]), Decimal(item["unit_price"]))
        assert total == Decimal(item["total"])
        sums[item["currency"]] = EXACT.add(sums.get(item["currency"], Decimal(0)), total)
    assert {code: Decimal(found["subtotal"]) for code, found in data["subtotals"].items()} == sums
    payable = {}
    for code, found in data["subtotals"].items():
        payable[code] = rounded(sums[code], found["minor_units"])
        assert found["payable"] == f"{payable[code]:f}"
        assert Decimal(found["rounding"]) == EXACT.subtract(payable[code], sums[code])
    return {
        "by_currency": {code: found["subtotal"] for code, found in data["subtotals"].items()},
        "payable": {
            code: {"amount": found["payable"], "rounding": found["rounding"]}
            for code, found in data["subtotals"].items()
        },
        "converted": {code: whole(code, found, data, payable) for code, found in data["converted"].items()},
    }


def whole(code: str, conversion: dict[str, Any], data: dict[str, Any], payable: dict[str, Decimal]) -> str | None:
    total, used = Decimal(0), data["rates"].get("used", {})
    foreign = payable.keys() - {code}
    missing = sorted({*foreign, *([code] if foreign else [])} - used.keys())
    if missing:
        assert conversion == {"amount": None, "reason": "rate_missing", "missing": missing}
        return None
    assert [leg["currency"] for leg in conversion["legs"]] == list(payable)
    for leg in conversion["legs"]:
        assert Decimal(leg["payable"]) == payable[leg["currency"]]
        if leg["currency"] == code:
            exact = payable[code]
        else:
            assert (leg["rate_from"], leg["rate_to"]) == (used[leg["currency"]], used[code])
            product = EXACT.multiply(payable[leg["currency"]], Decimal(leg["rate_to"]))
            exact = EXACT.divide(product, Decimal(leg["rate_from"]))
            assert Decimal(leg["unrounded"]) == quantized(exact, leg["unrounded_decimals"], ROUND_DOWN)
        assert Decimal(leg["converted"]) == rounded(exact, conversion["minor_units"])
        total = EXACT.add(total, Decimal(leg["converted"]))
    assert conversion["amount"] == f"{quantized(total, conversion['minor_units'], ROUND_DOWN):f}"
    return str(conversion["amount"])


def rounded(amount: Decimal, decimals: int) -> Decimal:
    return quantized(amount, decimals, ROUND_HALF_UP)


def quantized(amount: Decimal, decimals: int, rounding: str) -> Decimal:
    found = amount.quantize(Decimal(1).scaleb(-decimals), rounding, EXACT)
    return abs(found) if found == 0 else found


@pytest.fixture
def with_provider(make_app: Callable[[Config], Flask], config: Config, viewer: Api) -> Api:
    """The same caller where a provider is configured, so that samples don't count."""
    app = make_app(replace(config, settings=replace(config.settings, oxr_app_id="an app id")))
    return Api(app.test_client(), viewer.key)


def test_the_snapshot_of_a_closed_bill_is_the_one_that_was_newest_at_its_cut_off(
    with_provider: Api, engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    for hours, lari in ((30, "2.5"), (20, "2.6"), (0, "2.7")):
        rates_history.store(engine, {"GEL": lari}, age=timedelta(hours=hours))
    bill = open_bill()
    line_items.add(engine, origin, bill.id, LineItemDraft.parse("Fee", "6", "0.6", "GEL", offered=OFFERED))
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, by_the_system("test"), bill.id, samples=False)
    rates_history.store(engine, {"GEL": "2.8"})

    data = explained(with_provider, bill.id, "?currency=USD")

    rates, cut_off = data["rates"], data["cut_off"]
    assert rates["used"] == {"GEL": "2.7", "USD": "1"}
    assert (rates["frozen"], rates["sample"], rates["provider"]) == (True, False, "openexchangerates")
    assert instant(rates["accepted_at"]) <= instant(cut_off["at"]) < instant(rates["next_accepted_at"])
    assert instant(cut_off["at"]) == min(instant(cut_off["close_requested_at"]), instant(cut_off["period_end"]))
    assert cut_off["close_reason"] == "manual"
    assert rates["as_of"] == cut_off["at"]
    recomputed(data)


def test_rates_of_an_open_bill_are_the_newest_and_its_cut_off_is_to_come(
    with_provider: Api, engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    rates_history.store(engine, {"GEL": "2.9"}, age=timedelta(hours=25))
    rates_history.store(engine, {"GEL": "2.95"})
    data = explained(with_provider, open_bill().id)
    assert data["cut_off"]["at"] is None
    assert (data["rates"]["frozen"], data["rates"]["next_accepted_at"]) == (False, None)
    assert data["rates"]["stale"] is False
    assert data["rates"]["stale_after_seconds"] == 24 * 3600


def test_a_missing_rate_is_said(with_provider: Api, engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    rates_history.store(engine, {"GEL": "2.9"})
    bill = open_bill()
    line_items.add(engine, origin, bill.id, LineItemDraft.parse("Fee", "1", "1", "KWD", offered=OFFERED))
    found = explained(with_provider, bill.id, "?currency=USD")["converted"]["USD"]
    assert found == {"amount": None, "reason": "rate_missing", "missing": ["KWD"]}


def test_by_hand_a_bill_with_all_that_can_be_on_one(
    with_provider: Api, engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    """Three currencies, something taken back, roundings both ways, rates that are frozen and one that is missing."""
    rates_history.store(engine, {"GEL": "2.7052", "JPY": "154.31"})
    bill = open_bill()
    lines = [("3", "1.005", "USD"), ("1", "10.4", "JPY"), ("7", "0.333333333333", "GEL"), ("2", "5.5", "GEL")]
    drafts = [LineItemDraft.parse("Fee", *line, offered=OFFERED) for line in lines]
    items = [line_items.add(engine, origin, bill.id, draft)[1] for draft in drafts]
    line_items.reverse(engine, origin, bill.id, items[3].id, "Entered twice")
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, by_the_system("test"), bill.id, samples=False)
    rates_history.store(engine, {"GEL": "9", "JPY": "9", "KWD": "9"})

    data = explained(with_provider, bill.id, "?currency=KWD")

    found = recomputed(data)
    assert found["payable"] == {
        "GEL": {"amount": "2.33", "rounding": "-0.003333333331"},
        "JPY": {"amount": "10", "rounding": "-0.4"},
        "USD": {"amount": "3.02", "rounding": "0.005"},
    }
    # 2.33 / 2.7052 = 0.8613..., 10 / 154.31 = 0.0648...; 3.02 as it is
    assert found["converted"]["USD"] == "3.94"
    assert found["converted"].keys() == {"GEL", "JPY", "USD", "KWD"}
    assert found["converted"]["KWD"] is None
    assert data["rates"]["used"] == {"GEL": "2.7052", "JPY": "154.31", "USD": "1"}
    assert data["rates"]["frozen"] is True


def test_where_a_rate_of_its_own_is_missing_those_that_are_there_are_said(
    with_provider: Api, engine: Engine, origin: Origin, open_bill: OpenBill
) -> None:
    rates_history.store(engine, {"GEL": "2.9"})
    bill = open_bill()
    for code in ("KWD", "GEL"):
        line_items.add(engine, origin, bill.id, LineItemDraft.parse("Fee", "1", "1", code, offered=OFFERED))
    data = explained(with_provider, bill.id, "?currency=USD")
    assert recomputed(data)["converted"] == {"GEL": None, "KWD": None, "USD": None}
    assert data["rates"]["used"] == {"GEL": "2.9", "USD": "1"}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def long_bill(engine: Engine, origin: Origin, open_bill: OpenBill) -> UUID:
    bill = open_bill()
    for _ in range(3):
        drafts = [LineItemDraft.parse(f"Fee {n}", str(n + 1), "0.0333", "USD", offered=OFFERED) for n in range(750)]
        line_items.add_all(engine, origin, bill.id, [line_items.entry(draft, None) for draft in drafts])
    return bill.id


def test_a_long_bill_is_sent_while_it_is_read_and_holds_nothing(
    viewer: Api, long_bill: UUID, engine: Engine, origin: Origin, app: Flask
) -> None:
    answer = viewer.client.get(f"/api/v1/bills/{long_bill}/explain", headers=viewer.credentials, buffered=False)
    parts: Iterator[bytes] = iter(answer.response)
    first = next(parts)
    assert app.extensions["pave"].engine.pool.checkedout() == 0
    line_items.add(engine, origin, long_bill, LineItemDraft.parse("Late", "1", "1", "USD", offered=OFFERED))
    data = json.loads(first + b"".join(parts))["data"]
    answer.close()
    assert data["item_count"] == len(data["line_items"]) == 2_250
    recomputed(data)


def test_a_long_one_waits_for_a_place_and_a_short_one_does_not(
    viewer: Api, long_bill: UUID, open_bill: OpenBill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PLACES", places.Places(most=0))
    refused = viewer.get(f"/bills/{long_bill}/explain")
    assert (refused.status_code, refused.json["details"]["reason"]) == (429, "too_many_exports")
    assert int(refused.headers["Retry-After"]) > 0
    explained(viewer, open_bill().id)
