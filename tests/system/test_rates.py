"""A provider that misbehaves in every way it can: nothing waits for it, and the last good rates stay."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from billing.exchange import refreshing
from billing.exchange.open_exchange_rates import OpenExchangeRates
from billing.ledger import rates
from billing.origin import by_the_system
from tests.support.agreement import Staff
from tests.support.integrator import Integrator
from tests.support.rates_provider import BEHAVIOURS, RatesProvider
from tests.support.stack import Stack
from tests.support.stopwatch import stopwatch
from tests.system.conftest import AssertAgree
from webapp.identity import api_keys
from webapp.identity.roles import Role

# These are what a provider may do; each has a test of its own.
NO_FAULTS = {"normally", "not_modified", "missing_currency", "jump"}
FAULTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in BEHAVIOURS if name not in NO_FAULTS | {"bytes", "slow_headers", "slow_body"}),
    ("slow_headers", {"pause_s": 0.1}),
    ("slow_body", {"pause_s": 0.1}),
    ("bytes", {"body": b"[" * 100_000}),
    ("bytes", {"body": b"\xff\xfe"}),
    ("rate_limited", {"Retry_After": "3600"}),
    ("bad_rate", {"rate": "1e400"}),
    ("bad_rate", {"rate": '"2.7"'}),
]
Refresh = Callable[[], str]
READ_WITHIN_S = 0.3


@pytest.fixture(scope="module")
def provider() -> Iterator[RatesProvider]:
    with RatesProvider() as running:
        yield running


@pytest.fixture(scope="module")
def environment(provider: RatesProvider) -> dict[str, str]:
    return {"OPENEXCHANGERATES_APP_ID": provider.app_id, "OPENEXCHANGERATES_URL": provider.url}


@pytest.fixture
def refresh(stack: Stack, provider: RatesProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refresh]:
    """One attempt, as the sweep makes it but for its patience: half a second with what never ends."""

    def refresh_() -> str:
        client = partial(OpenExchangeRates, deadline_s=0.5 if provider.is_endless else 60)
        monkeypatch.setattr(refreshing, "OpenExchangeRates", client)
        return refreshing.refresh(stack.engine, stack.settings, by_the_system("test"))

    provider.behave("normally")
    yield refresh_
    provider.behave("normally")


@pytest.fixture
def admin(stack: Stack) -> Iterator[Integrator]:
    caller = Integrator(stack.url, api_keys.create(stack.engine, name=uuid4().hex, role=Role.ADMIN))
    yield caller
    caller.close()


def shown_rates(integrator: Integrator) -> dict[str, Any]:
    # The web process looks for new rates once a second.
    time.sleep(1.1)
    shown: dict[str, Any] = integrator.get("/rates").json()["data"]
    return shown


def test_whatever_the_provider_does_the_last_good_rates_stay_and_nobody_waits(
    stack: Stack, provider: RatesProvider, integrator: Integrator, refresh: Refresh, agree: AssertAgree
) -> None:
    provider.publish(GEL="2.71")
    refresh()
    before = rates.current(stack.engine, samples=False)
    stop = threading.Event()
    bill_ids: list[str] = []
    slowest_s = 0.0

    def bill_until_stopped() -> None:
        nonlocal slowest_s
        while not stop.is_set():
            with stopwatch() as took:
                bill_ids.append(bill_id := integrator.opened())
                integrator.added(bill_id)
                assert integrator.asked_to_close(bill_id).status_code in {200, 202}
            slowest_s = max(slowest_s, took.s)
            stop.wait(0.2)

    billing = threading.Thread(target=bill_until_stopped)
    billing.start()
    try:
        for name, details in FAULTS:
            provider.behave(name, **details)
            outcome = refresh()
            tolerated = {"unchanged"} if name == "invalid_headers" else set()
            assert outcome not in {"accepted", "quarantined", "unchanged"} - tolerated, name
            assert rates.current(stack.engine, samples=False) == before, name
            assert rates.attempts(stack.engine, limit=1)[0].outcome == outcome
    finally:
        stop.set()
        billing.join()

    assert len(bill_ids) > 5
    assert slowest_s < 5
    assert before is not None
    assert shown_rates(integrator)["snapshot_id"] == str(before.id)
    for bill_id in bill_ids:
        assert integrator.bill_when(bill_id, "closed")["rates"]["snapshot_id"] == str(before.id)
    agree(*bill_ids)


def test_reads_are_as_fast_and_as_right_whatever_the_provider_does(
    stack: Stack, provider: RatesProvider, integrator: Integrator, staff: Staff, refresh: Refresh
) -> None:
    provider.publish(GEL="2.5")
    refresh()
    bill_id = integrator.opened()
    integrator.added(bill_id)
    integrator.added(bill_id, quantity=1, unit_price=10, currency="USD")
    time.sleep(1.1)
    right = {"GEL": "28.60", "USD": "11.44"}
    took_s: list[float] = []

    for name, details in FAULTS:
        provider.behave(name, **details)
        with ThreadPoolExecutor(1) as elsewhere:
            fetching = elsewhere.submit(refresh)
            under_way = True
            while under_way:
                under_way, began = not fetching.done(), time.monotonic()
                converted = integrator.bill(bill_id)["total"]["converted"]
                took_s.append(time.monotonic() - began)
                assert {code: one["amount"] for code, one in converted.items()} == right, name
        page = staff.page(f"/bills/{bill_id}")
        assert page.amounts("whole") == {page.fields["shown_currency"]: right[page.fields["shown_currency"]]}, name

    assert len(took_s) >= len(FAULTS)
    assert statistics.median(took_s) < READ_WITHIN_S


def test_nobody_waits_while_the_running_worker_waits_for_a_silent_provider(
    stack: Stack, provider: RatesProvider, integrator: Integrator, refresh: Refresh, agree: AssertAgree
) -> None:
    provider.publish(GEL="2.5")
    refresh()
    bill_id = integrator.opened()
    before = integrator.added(bill_id)
    provider.behave("silence")
    stack.worker.stop()
    asked_before = len(provider.requests)
    stack.worker.start(RATES_REFRESH_SECONDS="1")
    try:
        deadline = time.monotonic() + 30
        while len(provider.requests) == asked_before:
            assert time.monotonic() < deadline, "the worker did not ask"
            time.sleep(0.05)
        took_s = []
        for _ in range(20):
            began = time.monotonic()
            integrator.added(bill_id)
            assert integrator.bill(bill_id)["line_items"][0]["id"] == before["id"]
            took_s.append((time.monotonic() - began) / 2)
        assert integrator.asked_to_close(bill_id).status_code in {200, 202}
        closed = integrator.bill_when(bill_id, "closed", within_s=30)
    finally:
        provider.behave("normally")
        stack.worker.restart()
    assert statistics.median(took_s) < READ_WITHIN_S
    assert closed["item_count"] == 21
    agree(bill_id)


def test_rates_without_a_currency_are_taken_and_conversions_that_need_it_are_unavailable(
    provider: RatesProvider, integrator: Integrator, refresh: Refresh
) -> None:
    bill_id = integrator.opened()
    integrator.added(bill_id)
    provider.publish()
    provider.behave("missing_currency", currency="GEL")

    assert refresh() == "accepted"

    time.sleep(1.1)
    converted = integrator.bill(bill_id, "?currency=USD")["total"]["converted"]
    assert converted["GEL"]["amount"] == "3.60"
    assert (converted["USD"]["amount"], converted["USD"]["reason"]) == (None, "rate_missing")
    provider.behave("normally")
    assert refresh() == "accepted"
    time.sleep(1.1)
    assert integrator.bill(bill_id, "?currency=USD")["total"]["converted"]["USD"]["amount"] is not None


def test_rates_that_jumped_wait_until_three_fetches_agree(
    stack: Stack, provider: RatesProvider, integrator: Integrator, refresh: Refresh
) -> None:
    provider.publish(GEL="2.7", TRY="40")
    assert refresh() == "accepted"
    before = shown_rates(integrator)
    provider.publish(TRY="90")

    assert refresh() == "quarantined"
    waiting = shown_rates(integrator)
    assert waiting["snapshot_id"] == before["snapshot_id"]
    assert waiting["quarantined"]["moves"] == [{"currency": "TRY", "before": "40", "after": "90"}]
    assert refresh() == "quarantined"
    assert refresh() == "accepted"

    accepted = shown_rates(integrator)
    assert accepted["rates"]["TRY"] == "90"
    assert "quarantined" not in accepted


def test_an_admin_accepts_rates_that_jumped(
    provider: RatesProvider, integrator: Integrator, admin: Integrator, refresh: Refresh
) -> None:
    provider.publish(AMD="400")
    refresh()
    provider.publish(AMD="1000")
    assert refresh() == "quarantined"
    waiting = shown_rates(integrator)["quarantined"]["snapshot_id"]

    assert integrator.post(f"/rates/{waiting}/accept").status_code == 403
    assert admin.post(f"/rates/{waiting}/accept").status_code == 200

    shown = shown_rates(integrator)
    assert (shown["snapshot_id"], shown["rates"]["AMD"]) == (waiting, "1000")


def test_the_running_worker_refreshes_rates_by_itself(
    stack: Stack, provider: RatesProvider, integrator: Integrator, refresh: Refresh
) -> None:
    refresh()
    stack.worker.stop()
    provider.publish(GBP="0.7777")
    # Due from its first round on.
    time.sleep(1)
    stack.worker.start(RATES_REFRESH_SECONDS="1")
    try:
        deadline = time.monotonic() + 60
        while integrator.get("/rates").json()["data"]["rates"]["GBP"] != "0.7777":
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        stack.worker.stop()
