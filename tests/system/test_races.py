"""What happens at the same instant: every 2xx counts, once; everything else is a refusal that is documented."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.support.integrator import HUNG, Integrator, bill_body
from tests.system.conftest import AssertAgree

ROUNDS = 200
ADDERS = 16
# The close comes at another moment in each round: before, among and after the adders' calls.
LATEST_CLOSE_S = 0.06


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """As many threads as the widest race has parties, so that all of them get to the start."""
    with ThreadPoolExecutor(ADDERS + 1) as threads:
        yield threads


def outcome(answer: requests.Response) -> str:
    if answer.status_code == 200:
        return "added"
    error = answer.json()
    return f"{answer.status_code} {error['code']} {error['details']['reason']}"


def test_a_close_among_sixteen_adders_counts_what_it_acknowledged(
    integrator: Integrator, pool: ThreadPoolExecutor, agree: AssertAgree
) -> None:
    bill_ids = list(pool.map(lambda _: integrator.opened(), range(ROUNDS)))
    outcomes: Counter[str] = Counter()
    for number, bill_id in enumerate(bill_ids):
        delay_s = LATEST_CLOSE_S * number / ROUNDS
        outcomes.update(race_to_close(integrator, pool, bill_id, delay_s))

    refusals = {"400 failed_precondition bill_closing", "400 failed_precondition bill_closed"}
    assert set(outcomes) <= {"added"} | refusals, outcomes
    # Both ends of the race were seen; else nothing raced.
    assert outcomes["added"] > ROUNDS
    assert sum(outcomes[refusal] for refusal in refusals) > ROUNDS
    for bill_id in bill_ids:
        integrator.bill_when(bill_id, "closed")
    agree(*bill_ids)


def race_to_close(integrator: Integrator, pool: ThreadPoolExecutor, bill_id: str, delay_s: float) -> list[str]:
    start = threading.Barrier(ADDERS + 1)

    def add() -> str:
        start.wait()
        return outcome(integrator.add(bill_id))

    def close() -> requests.Response:
        start.wait()
        threading.Event().wait(delay_s)
        return integrator.asked_to_close(bill_id)

    adding = [pool.submit(add) for _ in range(ADDERS)]
    closing = pool.submit(close).result()
    assert (closing.status_code, closing.json()["data"]["status"]) in {(200, "closed"), (202, "closing")}
    return [added.result() for added in adding]


def test_two_requests_with_one_key_at_one_instant_add_one_item(
    integrator: Integrator, pool: ThreadPoolExecutor, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    start = threading.Barrier(2)

    def add(key: str) -> requests.Response:
        start.wait()
        return integrator.add(bill_id, key)

    for _ in range(ROUNDS):
        answers = [twin.result() for twin in [pool.submit(add, key) for key in [str(uuid4())] * 2]]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len({answer.json()["line_item"]["id"] for answer in answers}) == 1
        replayed = sorted(answer.headers.get("Idempotent-Replayed", "first") for answer in answers)
        assert replayed == ["first", "true"]

    assert integrator.bill(bill_id)["item_count"] == ROUNDS
    agree(bill_id)


def test_two_requests_with_one_key_at_one_instant_open_one_bill(
    integrator: Integrator, pool: ThreadPoolExecutor
) -> None:
    start = threading.Barrier(2)

    def open_(key: str, body: dict[str, str]) -> requests.Response:
        start.wait()
        return integrator.post("/bills", body, key)

    for _ in range(20):
        key, body = str(uuid4()), bill_body()
        answers = [twin.result() for twin in [pool.submit(open_, key, body) for _ in range(2)]]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len({answer.json()["data"]["id"] for answer in answers}) == 1


def test_stored_requests_racing_a_close_each_end_added_or_rejected(
    integrator: Integrator, pool: ThreadPoolExecutor, agree: AssertAgree
) -> None:
    bill_ids = [integrator.opened() for _ in range(10)]
    stored: dict[str, list[str]] = {}
    for number, bill_id in enumerate(bill_ids):
        # With the first bills the workflow has no time to take any up; with the last it has.
        is_last = number == len(bill_ids) - 1
        stored[bill_id] = race_requests_to_close(integrator, pool, bill_id, delay_s=0.5 * number, after_one=is_last)

    states: Counter[str] = Counter()
    for bill_id in bill_ids:
        closed = integrator.bill_when(bill_id, "closed")
        decided = [decided_request(integrator, location) for location in stored[bill_id]]
        states.update(request["state"] for request in decided)
        added = [request["line_item_id"] for request in decided if request["state"] == "added"]
        items = integrator.get(f"/bills/{bill_id}/line-items?limit=100").json()["data"]
        assert sorted(item["id"] for item in items) == sorted(added)
        assert closed["item_count"] == len(added)
        errors = [request["error"] for request in decided if request["state"] == "rejected"]
        assert {error["details"]["reason"] for error in errors} <= {"bill_closing", "bill_closed"}
        integrator.acknowledged[bill_id].extend(items)
    assert set(states) == {"added", "rejected"}, states
    agree(*bill_ids)


def race_requests_to_close(
    integrator: Integrator, pool: ThreadPoolExecutor, bill_id: str, *, delay_s: float, after_one: bool
) -> list[str]:
    """Where to read what became of those that were stored: 202 is a promise of an outcome. The close comes after some
    time, and `after_one` was decided if that is wished."""

    def ask() -> requests.Response:
        return integrator.post(f"/bills/{bill_id}/line-items", HUNG, str(uuid4()), Prefer="respond-async")

    asking = [pool.submit(ask) for _ in range(ADDERS)]
    threading.Event().wait(delay_s)
    if after_one:
        decided_request(integrator, asking[0].result().headers["Location"])
    assert integrator.asked_to_close(bill_id).status_code in {200, 202}
    answers = [asked.result() for asked in asking]
    for answer in answers:
        assert answer.status_code == 202 or outcome(answer).startswith("400 failed_precondition bill_clos")
    return [answer.headers["Location"] for answer in answers if answer.status_code == 202]


def decided_request(integrator: Integrator, location: str) -> dict[str, str]:
    path = location.removeprefix("/api/v1")
    for _ in range(300):
        request = integrator.get(path).json()["data"]
        if request["state"] != "pending":
            return request
        threading.Event().wait(0.1)
    raise AssertionError(f"{location} is pending for half a minute")
