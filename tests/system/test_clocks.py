"""Web and worker whose clocks are a day off: the database's clock alone says when a period ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from sqlalchemy import text

from billing.clock import rfc3339
from tests.support.agreement import Staff
from tests.support.integrator import Integrator, bill_body
from tests.support.skewed import skewed_by
from tests.support.stack import Stack
from tests.system.conftest import AssertAgree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library that makes clocks wrong is one of Linux")

DAY = timedelta(hours=24)
# Much more than a machine's pause, much less than a day.
NEARLY = timedelta(minutes=10)
OFFSETS = {"+24h": DAY, "-24h": -DAY}


@dataclass(frozen=True)
class Skew:
    web: str
    worker: str


@pytest.fixture(scope="module", params=[Skew("+24h", "-24h"), Skew("-24h", "+24h")], ids=str)
def skew(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Skew]:
    """Web and worker are as wrong as that until the module's tests are through with it."""
    wanted: Skew = request.param
    stack.web.stop()
    stack.worker.stop()
    stack.worker.start(**skewed_by(wanted.worker))
    stack.web.start(**skewed_by(wanted.web))
    yield wanted
    stack.web.restart()
    stack.worker.restart()


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
    environment = {**stack.environment, **skewed_by(skew.worker)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    told_by_child, monotonic = done.stdout.split()

    assert abs(told_by_web - datetime.now(UTC) - OFFSETS[skew.web]) < NEARLY
    assert abs(datetime.fromisoformat(told_by_child) - datetime.now(UTC) - OFFSETS[skew.worker]) < NEARLY
    assert abs(float(monotonic) - time.monotonic()) < NEARLY.total_seconds()
    assert stack.worker.child.pid is not None
    assert "libfaketime" in stack.worker.maps


def test_items_are_taken_until_the_end_by_the_databases_clock_and_the_bill_closes_then(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
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
    agree(bill_id)


def test_a_bill_that_ends_within_the_days_difference_stays_open(
    stack: Stack, integrator: Integrator, agree: AssertAgree
) -> None:
    ends_soon = [integrator.opened(ends_in=timedelta(minutes=minutes)) for minutes in (5, 60, 23 * 60)]
    for bill_id in ends_soon:
        integrator.added(bill_id)
    # A bill that ends meanwhile has been closed by everything that closes bills.
    witness = integrator.opened(ends_in=timedelta(seconds=1))
    integrator.bill_when(witness, "closed", within_s=60)

    agree(*ends_soon, witness)
    for bill_id in ends_soon:
        assert integrator.bill(bill_id)["status"] == "open"
        integrator.added(bill_id)


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
    assert json.dumps(closed["rates"]["frozen"]) == "true"
    agree(bill_id)
