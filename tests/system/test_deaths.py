"""Processes killed with SIGKILL at bad moments: what was acknowledged is there, once, and the rest finishes itself."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from billing.ledger import progress
from embedded.temporal import Temporal
from tests.support.agreement import Staff
from tests.support.integrator import HUNG, Integrator
from tests.support.stack import Program, Stack, without_temporal
from tests.system.conftest import AssertAgree


@pytest.fixture
def dying_worker(stack: Stack, run_dir: Path) -> Program:
    """Of the same system, in place of its worker: it dies in the activity that closes, after the commit."""
    stack.worker.kill()
    directory = run_dir / f"dying-{uuid4().hex[:8]}"
    directory.mkdir()
    program = stack.worker_running(directory, "tests.support.dying_worker")
    program.start()
    return program


def test_a_worker_killed_inside_the_close_after_its_commit(
    stack: Stack, integrator: Integrator, dying_worker: Program, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    integrator.added(bill_id)
    integrator.added(bill_id, currency="USD", unit_price="0.005")

    asked = integrator.asked_to_close(bill_id)
    dying_worker.wait_until_ended(60)

    # The activity's commit stands, and its result is lost.
    closed = integrator.bill(bill_id)
    assert (asked.status_code, closed["status"]) in {(200, "closed"), (202, "closed")}
    assert not progress.heard(stack.engine, UUID(bill_id)).finished
    stack.worker.start()
    agree(bill_id)
    assert progress.heard(stack.engine, UUID(bill_id)).finished
    assert integrator.bill(bill_id) == closed


def test_bills_that_a_dead_worker_remembered_are_closed_by_the_next_while_their_callers_wait(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_ids = [integrator.opened() for _ in range(3)]
    while not all(progress.heard(stack.engine, UUID(bill_id)).version for bill_id in bill_ids):
        time.sleep(0.05)
    stack.worker.kill()
    stack.worker.start()
    answers = [integrator.asked_to_close(bill_id).status_code for bill_id in bill_ids]
    # One of them may come too early, on a busy machine.
    assert answers.count(200) >= len(bill_ids) - 1
    agree(*bill_ids)


def test_a_close_asked_for_while_worker_and_temporal_are_dead_is_carried_out_without_its_caller(
    stack: Stack, temporal: Temporal, integrator: Integrator, staff: Staff, agree: AssertAgree
) -> None:
    told, left_alone = integrator.opened(), integrator.opened()
    for bill_id in (told, left_alone):
        integrator.added(bill_id)

    with without_temporal(temporal):
        stack.worker.kill()
        answer = integrator.asked_to_close(told)
        ask_to_close_and_hang_up(stack, integrator, left_alone)
        assert (answer.status_code, answer.json()["data"]["status"]) == (202, "closing")
        assert integrator.bill_when(left_alone, "closing")["close_requested_at"]
        page = staff.page(f"/bills/{told}")
        assert "Closing" in page.words
        assert "It finishes by itself" in page.words
        refused = integrator.add(told)
        assert (refused.status_code, refused.json()["details"]["reason"]) == (400, "bill_closing")

    stack.worker.start()
    for bill_id in (told, left_alone):
        closed = integrator.bill_when(bill_id, "closed")
        assert (closed["close_reason"], closed["effective_at"]) == ("manual", closed["close_requested_at"])
    agree(told, left_alone)


def ask_to_close_and_hang_up(stack: Stack, integrator: Integrator, bill_id: str) -> None:
    """As a caller who is killed while waiting."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    connection.request("POST", f"/api/v1/bills/{bill_id}/close", headers=integrator.headers)
    connection.close()


def test_the_web_process_killed_in_the_middle_of_load(stack: Stack, integrator: Integrator, agree: AssertAgree) -> None:
    bill_ids = [integrator.opened() for _ in range(2)]
    stop = threading.Event()

    def add_until_stopped(number: int) -> int:
        failures = 0
        while not stop.is_set():
            path = f"/bills/{bill_ids[number % 2]}/line-items"
            failures += len(integrator.post_until_acknowledged(path, HUNG, str(uuid4()))[1])
        return failures

    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(add_until_stopped, number) for number in range(8)]
        for _ in range(2):
            time.sleep(1)
            stack.web.kill()
            stack.web.start()
        time.sleep(0.5)
        stop.set()
        assert all(added.result() for added in adding), "the deaths went unnoticed"

    agree(*bill_ids)


def test_a_key_means_the_same_after_a_close_and_a_restart_of_everything(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    key = str(uuid4())
    first = integrator.added(bill_id, key)
    close_key = str(uuid4())
    closed = integrator.post(f"/bills/{bill_id}/close", None, close_key)
    assert closed.status_code in {200, 202}
    integrator.bill_when(bill_id, "closed")

    for program in (stack.web, stack.worker):
        program.kill()
        program.start()
    again = integrator.add(bill_id, key)
    others = integrator.add(bill_id, key, quantity=7)
    closed_again = integrator.post(f"/bills/{bill_id}/close", None, close_key)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["line_item"] == first
    assert again.json()["data"]["status"] == "closed"
    assert (others.status_code, others.json()["code"]) == (409, "already_exists")
    assert others.json()["details"]["reason"] == "idempotency_key_reused"
    assert (closed_again.status_code, closed_again.headers["Idempotent-Replayed"]) == (200, "true")
    # A replay repeats an item of the log, it adds none.
    integrator.acknowledged[bill_id] = [first]
    agree(bill_id)


def test_spellings_of_the_same_values_are_one_request_and_other_values_are_refused(
    integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    key = str(uuid4())
    first = integrator.added(bill_id, key, quantity=6, unit_price=0.6)

    for quantity, unit_price in (("6", "0.6"), (6.0, "0.60"), ("6.000", 0.6)):
        again = integrator.add(bill_id, key, quantity=quantity, unit_price=unit_price)
        assert (again.status_code, again.json()["line_item"]) == (200, first)
    for changed in ({"quantity": 5}, {"unit_price": "0.61"}, {"currency": "USD"}, {"description": "other"}):
        refused = integrator.add(bill_id, key, **changed)
        assert (refused.status_code, refused.json()["details"]["reason"]) == (409, "idempotency_key_reused")
    agree(bill_id)
