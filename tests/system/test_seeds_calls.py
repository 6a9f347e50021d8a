"""The seed's four calls with its bodies, against the system as it runs."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from billing.exchange.sample import sample_snapshot
from tests.support.integrator import HUNG, Integrator, bill_body
from tests.system.conftest import AssertAgree


def test_the_seeds_four_calls_open_accrue_read_and_close_a_bill(integrator: Integrator, agree: AssertAgree) -> None:
    opened = integrator.post("/bills", bill_body(customer_id="hung"))
    bill_id = opened.json()["data"]["id"]
    added = integrator.post(f"/bills/{bill_id}/line-items", HUNG)
    read = integrator.get(f"/bills/{bill_id}")
    closed = integrator.post(f"/bills/{bill_id}/close")

    assert [answer.status_code for answer in (opened, added, read, closed)] == [200, 200, 200, 200]
    assert opened.json()["data"]["workflow_id"] == f"bill-{bill_id}"
    assert added.json()["line_item"]["total"] == "3.6"
    assert read.json()["data"]["total"]["by_currency"] == {"GEL": "3.6"}
    assert read.json()["data"]["total"]["converted"]["GEL"]["amount"] == "3.60"
    assert closed.json()["data"]["status"] == "closed"
    agree(bill_id)


def test_what_is_converted_is_right_by_hand(integrator: Integrator, agree: AssertAgree) -> None:
    bill_id = integrator.opened()
    integrator.added(bill_id)
    integrator.added(bill_id, quantity="3", unit_price="1.005", currency="USD")

    total = integrator.bill(bill_id, "?currency=EUR")["total"]

    # Payable: 3.60 GEL, and 3.015 USD rounded half up to 3.02.
    gel, eur = (sample_snapshot().rates[code] for code in ("GEL", "EUR"))
    cents = Decimal("0.01")
    in_gel = Decimal("3.60") + (Decimal("3.02") * gel).quantize(cents, ROUND_HALF_UP)
    in_usd = (Decimal("3.60") / gel).quantize(cents, ROUND_HALF_UP) + Decimal("3.02")
    in_eur = (Decimal("3.60") * eur / gel).quantize(cents, ROUND_HALF_UP) + (Decimal("3.02") * eur).quantize(
        cents, ROUND_HALF_UP
    )
    assert total["by_currency"] == {"GEL": "3.6", "USD": "3.015"}
    amounts = {code: conversion["amount"] for code, conversion in total["converted"].items()}
    assert amounts == {"GEL": str(in_gel), "USD": str(in_usd), "EUR": str(in_eur)}
    agree(bill_id)
