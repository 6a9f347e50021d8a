"""The seed's four calls with its bodies, against the system as it runs."""

from __future__ import annotations

from tests.support.integrator import HUNG, Integrator, bill_body
from tests.support.stopwatch import tries
from tests.system.conftest import AssertAgree


def test_the_seeds_four_calls_open_accrue_read_and_close_a_bill(integrator: Integrator, agree: AssertAgree) -> None:
    # A close that isn't done after two seconds is answered 202.
    for _ in tries(within_s=2):
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

    # Payable are 3.60 GEL and, from 3.015 rounded half up, 3.02 USD. Per USD: 2.7052 GEL, 0.8596 EUR.
    # GEL: 3.60 + 3.02 x 2.7052 = 3.60 + 8.169704 -> 3.60 + 8.17.
    # USD: 3.60 / 2.7052 + 3.02 = 1.330770... + 3.02 -> 1.33 + 3.02.
    # EUR: 3.60 x 0.8596 / 2.7052 + 3.02 x 0.8596 = 1.143930... + 2.595992 -> 1.14 + 2.60.
    assert total["by_currency"] == {"GEL": "3.6", "USD": "3.015"}
    amounts = {code: conversion["amount"] for code, conversion in total["converted"].items()}
    assert amounts == {"GEL": "11.77", "USD": "4.35", "EUR": "3.74"}
    agree(bill_id)
