"""Web and worker whose clocks are a day off, both or one of them: the database's clock alone says when a period ends,
and which rates are frozen then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from billing.clock import rfc3339
from tests.support import rates_history
from tests.support.agreement import Staff
from tests.support.closed_port import closed_port
from tests.support.integrator import Integrator, bill_body
from tests.support.skewed import skewed_by
from tests.support.stack import Stack
from tests.system.conftest import AssertAgree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library that makes clocks wrong is one of Linux")

DAY = timedelta(hours=24)
# Much more than a machine's pause, much less than a day.
NEARLY = timedelta(minutes=10)
RIGHT = "right"
OFFSETS = {"+24h": DAY, "-24h": -DAY, RIGHT: timedelta(0)}


@dataclass(frozen=True)
class Skew:
    web: str
    worker: str

    def __str__(self) -> str:
        return f"web {self.web}, worker {self.worker}"


# Two that are wrong could make up for each other, where one alone can't.
SKEWS = [Skew("+24h", "-24h"), Skew("-24h", "+24h"), Skew("+24h", RIGHT), Skew(RIGHT, "-24h")]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Rates of a provider, which tests store themselves: there is more than one snapshot to choose from."""
    with closed_port() as port:
        yield {"OPENEXCHANGERATES_APP_ID": "nobody's", "OPENEXCHANGERATES_URL": f"http://127.0.0.1:{port}/api"}


@pytest.fixture(scope="module")
def _days_of_rates(stack: Stack) -> None:
    """The day before yesterday's, yesterday's and today's: who is a day off, takes others."""
    for gel in ("2.5", "2.6", "2.7"):
        rates_history.age(stack.engine, DAY * 3 / 4)
        rates_history.accept(stack.engine, GEL=gel, USD="1", EUR="0.86", JPY="154.62")


def clock(offset: str) -> dict[str, str]:
    return {} if offset == RIGHT else skewed_by(offset)


@pytest.fixture(scope="module", params=SKEWS, ids=str)
def skew(request: pytest.FixtureRequest, stack: Stack, _days_of_rates: None) -> Iterator[Skew]:
    """Web and worker are as wrong as that until the module's tests are through with it."""
    wanted: Skew = request.param
    stop_both(stack)
    stack.worker.launch(**clock(wanted.worker))
    stack.web.launch(**clock(wanted.web))
    stack.worker.wait_until_up()
    stack.web.wait_until_up()
    yield wanted
    # Whoever needs them next starts them with the clock that they need.
    stop_both(stack)


def stop_both(stack: Stack) -> None:
    stack.web.stop()
    stack.worker.stop()


@pytest.fixture(scope="module")
def staff(stack: Stack, skew: Skew) -> Iterator[Staff]:
    """Signed in while the clocks are wrong: a session is not expected to outlive a jump of the web's clock."""
    one = Staff(stack)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _skewed(skew: Skew) -> None:
    """Before any test's own bills."""


def now(stack: Stack) -> datetime:
    with stack.engine.connect() as connection:
        instant: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return instant


def instant(bill: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(bill[name])


def test_the_clocks_are_as_wrong_as_they_are_said_to_be(stack: Stack, integrator: Integrator, skew: Skew) -> None:
    told_by_web = parsedate_to_datetime(integrator.get("/rates").headers["Date"])
    program = "import datetime, time; print(datetime.datetime.now(datetime.UTC).isoformat(), time.monotonic())"
    environment = {**stack.environment, **clock(skew.worker)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    told_by_child, monotonic = done.stdout.split()

    assert abs(told_by_web - datetime.now(UTC) - OFFSETS[skew.web]) < NEARLY
    assert abs(datetime.fromisoformat(told_by_child) - datetime.now(UTC) - OFFSETS[skew.worker]) < NEARLY
    assert abs(float(monotonic) - time.monotonic()) < NEARLY.total_seconds()
    assert stack.worker.child.pid is not None
    assert ("libfaketime" in stack.worker.maps) == (skew.worker != RIGHT)


def test_items_are_taken_until_the_end_by_the_databases_clock_and_the_bill_closes_then_and_no_other_does(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    ends_within_the_days_difference = [
        integrator.opened(ends_in=timedelta(minutes=minutes)) for minutes in (5, 60, 23 * 60)
    ]
    for open_id in ends_within_the_days_difference:
        integrator.added(open_id)
    bill_id = integrator.opened(ends_in=timedelta(seconds=6))
    end = instant(integrator.bill(bill_id), "period_end")

    added, refused_at = 0, None
    while refused_at is None:
        answer = integrator.add(bill_id)
        if answer.status_code == 200:
            added += 1
        else:
            refused_at = now(stack)
            assert answer.json()["details"]["reason"] in {"period_ended", "bill_closed"}
    closed = integrator.bill_when(bill_id, "closed", within_s=60)

    assert added > 5
    # Nothing was refused early, nothing taken late, and nothing closed before its time.
    assert refused_at >= end
    assert all(instant(item, "created_at") < end for item in integrator.acknowledged[bill_id])
    assert closed["item_count"] == added
    assert (closed["close_reason"], instant(closed, "effective_at")) == ("period_end", end)
    assert instant(closed, "closed_at") >= end
    assert_frozen(stack, closed)
    # Everything that closes bills has closed this one, and left the others alone.
    agree(bill_id, *ends_within_the_days_difference)
    for open_id in ends_within_the_days_difference:
        assert integrator.bill(open_id)["status"] == "open"
        integrator.added(open_id)


def test_periods_are_judged_by_the_databases_clock(stack: Stack, integrator: Integrator) -> None:
    over = {**bill_body(), "period_end": rfc3339(now(stack) - timedelta(minutes=30))}
    refused = integrator.post("/bills", over)
    assert (refused.status_code, refused.json()["message"]) == (400, "period_end must be in the future")

    bill_id = integrator.opened(ends_in=timedelta(minutes=30))
    for minutes, status in ((20, 200), (-20, 400), (60, 200)):
        moved = integrator.post(
            f"/bills/{bill_id}/period", {"period_end": rfc3339(now(stack) + timedelta(minutes=minutes))}
        )
        assert moved.status_code == status, moved.text


def test_a_close_by_hand_has_its_cut_off_from_the_databases_clock(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    integrator.added(bill_id)
    before = now(stack)
    assert integrator.asked_to_close(bill_id).status_code in {200, 202}
    after = now(stack)

    closed = integrator.bill_when(bill_id, "closed", within_s=60)
    assert before <= instant(closed, "effective_at") <= after
    assert instant(closed, "effective_at") <= instant(closed, "closed_at") <= now(stack)
    assert_frozen(stack, closed)
    agree(bill_id)


def assert_frozen(stack: Stack, closed: dict[str, Any]) -> None:
    current_then = rates_history.current_at(stack.engine, instant(closed, "effective_at"))
    assert (closed["rates"]["snapshot_id"], closed["rates"]["frozen"]) == (str(current_then), True)


def test_a_close_that_is_late_freezes_the_rates_of_its_cut_off(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    by_hand, by_itself = integrator.opened(), integrator.opened(ends_in=timedelta(seconds=2))
    for bill_id in (by_hand, by_itself):
        integrator.added(bill_id)
    shown = integrator.get("/rates").json()["data"]
    pid = stack.worker.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        # Answered after as long as it waits for the worker.
        assert integrator.asked_to_close(by_hand).json()["data"]["status"] == "closing"
        while now(stack) < instant(integrator.bill(by_itself), "period_end"):
            time.sleep(0.05)
        since = rates_history.accept(stack.engine, GEL="2.8", USD="1", EUR="0.86", JPY="154.62")
    finally:
        os.kill(pid, signal.SIGCONT)

    # The age of rates, too, is judged by the database's clock.
    assert (shown["stale"], shown["age_seconds"] < NEARLY.total_seconds()) == (False, True)
    for bill_id in (by_hand, by_itself):
        closed = integrator.bill_when(bill_id, "closed", within_s=60)
        assert_frozen(stack, closed)
        assert UUID(closed["rates"]["snapshot_id"]) == UUID(shown["snapshot_id"]) != since
        accepted_since = rates_history.current_at(stack.engine, instant(closed, "closed_at"))
        assert accepted_since == since
    agree(by_hand, by_itself)
