"""PostgreSQL or Temporal out of reach for a while, under load: answers stay in their form, and all come back alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import requests
from sqlalchemy import text

from billing.clock import rfc3339
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.support.agreement import Staff
from tests.support.integrator import HUNG, PATH, Integrator
from tests.support.stack import Stack, without_postgres, without_temporal
from tests.support.stopwatch import stopwatch
from tests.system.conftest import AssertAgree

OUTAGE_S = 20
# Nobody waits for a connection that is refused. Where packets get lost instead, callers wait for what ends that.
AT_ONCE_S = 1
CLIENTS = 4


def test_a_database_that_refuses_connections_for_twenty_seconds(
    stack: Stack, postgres: Postgres, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_ids = [integrator.opened() for _ in range(2)]
    stop = threading.Event()
    refusals: list[requests.Response] = []
    took_s: list[float] = []

    def add_until_stopped(number: int) -> None:
        while not stop.is_set():
            answer, failures = repeated_until_acknowledged(integrator, bill_ids[number % 2], took_s)
            assert answer.status_code == 200
            refusals.extend(failures)

    with ThreadPoolExecutor(CLIENTS) as pool:
        adding = [pool.submit(add_until_stopped, number) for number in range(CLIENTS)]
        time.sleep(1)
        with without_postgres(postgres, stack):
            time.sleep(OUTAGE_S)
        back_since = time.monotonic()
        items_before = len(integrator.acknowledged[bill_ids[0]])
        while len(integrator.acknowledged[bill_ids[0]]) < items_before + 20:
            assert time.monotonic() < back_since + 60, "nobody adds though the database is back"
            time.sleep(0.1)
        stop.set()
        for added in adding:
            added.result()

    assert len(refusals) > CLIENTS
    for refusal in refusals:
        assert_says_unavailable(refusal)
    assert max(took_s) < 5
    agree(*bill_ids)


def repeated_until_acknowledged(
    integrator: Integrator, bill_id: str, took_s: list[float]
) -> tuple[requests.Response, list[requests.Response]]:
    key = str(uuid4())
    failures: list[requests.Response] = []
    while True:
        answer, seconds = timed(lambda: integrator.add(bill_id, key))
        took_s.append(seconds)
        if answer.ok:
            return answer, failures
        failures.append(answer)
        time.sleep(0.2)


def assert_says_unavailable(refusal: requests.Response) -> None:
    """The envelope, whole, and nothing besides."""
    error = refusal.json()
    assert refusal.status_code == 503, refusal.text
    assert int(refusal.headers["Retry-After"]) >= 1
    assert set(error) == {"code", "message", "details"}
    assert (error["code"], error["details"]["reason"]) == ("unavailable", "database_unavailable")
    assert error["details"]["request_id"] == refusal.headers["X-Request-Id"]
    assert "Traceback" not in refusal.text


def test_every_call_and_page_says_so_while_the_database_is_out_of_reach(
    stack: Stack, postgres: Postgres, integrator: Integrator, staff: Staff, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    item = integrator.added(bill_id)
    calls: list[Callable[[], requests.Response]] = [
        lambda: integrator.get(f"/bills/{bill_id}"),
        lambda: integrator.get("/bills"),
        lambda: integrator.get("/rates"),
        lambda: integrator.post(f"/bills/{bill_id}/close"),
        lambda: integrator.post(f"/bills/{bill_id}/line-items/batch", {"line_items": [HUNG]}),
        lambda: integrator.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "wrong"}),
        lambda: integrator.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async"),
    ]

    with without_postgres(postgres, stack):
        for call in calls:
            answer, took_s = timed(call)
            assert_says_unavailable(answer)
            assert took_s < AT_ONCE_S
        page, took_s = timed(lambda: staff.session.get(f"{stack.url}/bills/{bill_id}", timeout=20))
        assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (503, "text/html")
        assert "Traceback" not in page.text
        assert took_s < AT_ONCE_S

    assert integrator.bill(bill_id)["item_count"] == 1
    agree(bill_id)


def test_a_restart_of_the_database_between_requests_goes_unnoticed(
    stack: Stack, postgres: Postgres, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    address = f"{integrator.url}/bills/{bill_id}"
    # A connection for each, so that all processes have connections of their own to the database.
    statuses = [requests.get(address, headers=integrator.headers, timeout=20).status_code for _ in range(12)]

    with without_postgres(postgres, stack):
        pass

    statuses += [requests.get(address, headers=integrator.headers, timeout=20).status_code for _ in range(12)]
    assert set(statuses) == {200}
    integrator.added(bill_id)
    agree(bill_id)


def timed(call: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    with stopwatch() as took:
        answer = call()
    return answer, took.s


def test_with_temporal_off_everything_goes_on_and_the_workflows_catch_up(
    stack: Stack, temporal: Temporal, integrator: Integrator, staff: Staff, agree: AssertAgree
) -> None:
    known = integrator.opened()
    integrator.added(known)
    end = datetime.now(UTC) + timedelta(days=60)

    with without_temporal(temporal):
        opened = [integrator.opened() for _ in range(5)]
        for bill_id in (known, *opened):
            assert_accrues(integrator, bill_id, end)
        stored = asked_without_waiting(integrator, opened[0])
        answer, took_s = timed(lambda: integrator.asked_to_close(opened[1]))
        assert (answer.status_code, answer.json()["data"]["status"]) == (202, "closing")
        assert took_s < 4
        # It is known to be down by now, so nobody waits for it again.
        assert "Temporal can't be reached" in staff.page(f"/bills/{known}/workflow").words
        assert integrator.asked_to_close(opened[2]).status_code == 202
        # What concerns money needs the database alone.
        for bill_id in opened[1:3]:
            integrator.bill_when(bill_id, "closed")
        item = item_of_request(integrator, stored)
        integrator.acknowledged[opened[0]].append(item)

    agree(known, *opened)
    assert "In step" in staff.page(f"/bills/{known}/workflow").words


def assert_accrues(integrator: Integrator, bill_id: str, end: datetime) -> None:
    """Adding, taking back, a batch and a longer period, each in a moment."""
    first = integrator.added(bill_id, quantity="2.5")
    acts: list[tuple[str, dict[str, Any]]] = [
        (f"line-items/{first['id']}/reversal", {"reason": "wrong quantity"}),
        ("period", {"period_end": rfc3339(end)}),
    ]
    for path, body in acts:
        answer, took_s = timed(lambda path=path, body=body: integrator.post(f"/bills/{bill_id}/{path}", body))  # type: ignore[misc]
        assert (answer.status_code, took_s < 2) == (200, True), answer.text
    batch = {"line_items": [HUNG, {**HUNG, "currency": "JPY", "unit_price": "0.1"}]}
    outcomes = integrator.post(f"/bills/{bill_id}/line-items/batch", batch).json()["outcomes"]
    integrator.acknowledged[bill_id].extend(outcome["line_item"] for outcome in outcomes)
    assert integrator.bill(bill_id)["period_end"] == rfc3339(end)


def asked_without_waiting(integrator: Integrator, bill_id: str) -> str:
    answer = integrator.post(f"/bills/{bill_id}/line-items", HUNG, str(uuid4()), Prefer="respond-async")
    assert answer.status_code == 202
    return answer.headers["Location"].removeprefix(PATH)


def item_of_request(integrator: Integrator, path: str) -> dict[str, Any]:
    """The sweep decides what no workflow took up."""
    deadline = time.monotonic() + 60
    while (request := integrator.get(path).json()["data"])["state"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    items = integrator.get(path.partition("/line-item-requests")[0] + "/line-items").json()["data"]
    (item,) = (item for item in items if item["id"] == request["line_item_id"])
    return dict(item)


def test_readiness_names_what_is_missing_and_recovers_by_itself(
    stack: Stack, postgres: Postgres, temporal: Temporal
) -> None:
    recovered(stack)
    assert readiness(stack) == (200, {"status": "ok", "database": "ok", "temporal": "ok", "worker": "ok"})

    with without_postgres(postgres, stack):
        status, state = readiness(stack)
        assert (status, state["status"], state["database"]) == (503, "failed", "failed")
        assert requests.get(f"{stack.url}/healthz", timeout=20).status_code == 200
    recovered(stack)

    with without_temporal(temporal):
        status, state = readiness(stack)
        assert (status, state["database"], state["temporal"]) == (200, "ok", "degraded")
        assert readiness(stack, "?strict=1")[0] == 503
    recovered(stack)

    stack.worker.kill()
    silence_worker(stack)
    status, state = readiness(stack)
    assert (status, state["database"], state["worker"]) == (200, "ok", "degraded")
    assert readiness(stack, "?strict=1")[0] == 503
    stack.worker.start()
    recovered(stack)


def readiness(stack: Stack, query: str = "") -> tuple[int, dict[str, str]]:
    answer, took_s = timed(lambda: requests.get(f"{stack.url}/readyz{query}", timeout=20))
    assert took_s < 5
    state = answer.json()
    assert state.pop("signal_lag_s") >= 0
    return answer.status_code, state


def recovered(stack: Stack) -> None:
    deadline = time.monotonic() + 60
    while readiness(stack, "?strict=1")[0] != 200:
        assert time.monotonic() < deadline, readiness(stack)
        time.sleep(0.2)


def silence_worker(stack: Stack) -> None:
    """As if its last sign of life were half a minute ago."""
    with stack.engine.begin() as connection:
        connection.execute(text("UPDATE worker_heartbeats SET beat_at = beat_at - interval '31 seconds'"))
