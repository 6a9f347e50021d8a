"""Kills that met nobody fail a run: they prove nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import kills
from tests.chaos.decisions import Plan
from tests.chaos.gate import Gate
from tests.chaos.kills import Run, cut_off_by
from tests.chaos.record import Attempt, Record, Request
from tests.chaos.schedule import POSTGRES, WEB, Strike
from tests.chaos.system import System

STRIKE = Strike((WEB,), (WEB,), lead_s=0, stagger_s=0, down_s=0, pick=0)
UNDECIDED = {"status": 409, "reason": "idempotency_in_progress"}


def asked(*attempts: tuple[float, float, dict[str, Any]]) -> Request:
    return Request({"wish": "1/1", "do": "add"}, [Attempt(began, ended, answer) for began, ended, answer in attempts])


def test_an_attempt_is_cut_off_by_the_kill_that_it_was_under_way_at() -> None:
    spans = [(10.0, 12.0), (20.0, 22.0), (30.0, 32.0)]
    lost, unavailable, good = {"status": None, "failed": "TimeoutError"}, {"status": 503}, {"status": 200}
    requests = [
        asked((9, 15, lost), (16, 17, good)),
        asked((21, 21.5, unavailable), (21.6, 21.7, {"status": 500}), (22, 23, good)),
        # Before, between and after kills.
        asked((1, 2, lost), (3, 4, good)),
        asked((13, 19, lost), (33, 34, unavailable), (35, 36, good)),
    ]
    assert cut_off_by(spans, requests) == [1, 2, 0]


@pytest.mark.parametrize(
    "attempts",
    [
        [(11, 12, {"status": 200})],
        # Nobody asked again: a read.
        [(11, 12, {"status": None, "failed": "TimeoutError"})],
        # The caller's own doing, and what came of it.
        [(11, 11.1, {"status": None, "failed": "HungUp"}), (11.2, 11.3, UNDECIDED), (11.4, 12, {"status": 200})],
    ],
)
def test_what_no_kill_made_anybody_repeat_is_not_counted(attempts: Sequence[tuple[float, float, Any]]) -> None:
    assert cut_off_by([(10.0, 13.0)], [asked(*attempts)]) == [0]


@pytest.mark.parametrize(("cut_off", "fails"), [([0] * 20, True), ([0] * 19, False), ([0] * 19 + [1], False)])
def test_from_twenty_kills_on_somebody_has_been_interrupted(cut_off: list[int], fails: bool) -> None:
    found = list(kills._in_vain(cut_off, [True]))
    assert found == (["20 kills interrupted nobody: no request needed a second attempt"] if fails else [])


class Restarted(System):
    """Nothing runs: what is killed is up again at once."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = SimpleNamespace(port=1)  # type: ignore[assignment]
        self.api_key = "key"

    @property
    def unforeseen(self) -> str:
        return ""

    def strike(self, _: Strike) -> float:
        return time.monotonic()

    def wait_until_up(self, _: Strike) -> None: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Of three kills, without clients."""
    monkeypatch.setattr(kills, "GOOD_AGAIN_WITHIN_S", 0.0)
    with Record(tmp_path / "record.jsonl") as record:
        yield Run(Restarted(), Plan(7, 0, 8, 0), 3, record)


@pytest.mark.parametrize(
    ("came", "fails"), [([True, True, True], False), ([False, True, False], False), ([False, False, False], True)]
)
def test_clients_that_never_come_to_the_next_kill_fail_a_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], came: list[bool], fails: bool
) -> None:
    waits = iter(came)
    monkeypatch.setattr(Gate, "wait_until_all_wait", lambda *_: next(waits))
    run._kill_among_clients()

    told = [line for line in capsys.readouterr().out.splitlines() if "not all clients came to the next" in line]
    assert len(told) == came.count(False)
    found = list(kills._in_vain([1, 1, 1], run._caught_up))
    assert bool(found) == fails
    assert all(sentence.startswith("never did all clients come to the next kill") for sentence in found)


def test_a_failure_in_a_log_that_was_put_aside_is_not_forgotten() -> None:
    web, other = SimpleNamespace(unforeseen="Traceback"), SimpleNamespace()
    web.launch = lambda: setattr(web, "unforeseen", "")
    web.kill = other.kill = other.launch = lambda: None
    system = System()
    system.stack = SimpleNamespace(web=web, worker=other)  # type: ignore[assignment]
    system.postgres = system.temporal = other  # type: ignore[assignment]

    system.strike(replace(STRIKE, targets=(WEB, POSTGRES), restarts=(POSTGRES, WEB)))
    system.strike(STRIKE)
    assert system.unforeseen == "Traceback"
