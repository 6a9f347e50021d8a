"""Webhooks by the whole system, its worker killed in between; `python -m tests.chaos.webhooks` is the long run."""

from __future__ import annotations

import pytest

from tests.chaos.webhooks import IMPATIENT, Flood, flooded
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return dict(IMPATIENT)


def test_all_arrive_in_the_order_of_their_bills_beside_failures_silence_and_a_worker_killed(stack: Stack) -> None:
    result = flooded(stack, Flood(seed=7, events=400, bills=20, kills=1, within_s=200))

    assert result.wrong == []
    assert result.events == 400
    assert result.requests > 500
