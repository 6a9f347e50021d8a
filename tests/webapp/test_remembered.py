"""What is read once a moment."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from webapp.remembered import Remembered


def test_it_is_asked_once_within_the_time_and_again_after_it():
    numbers = count(1)
    kept, forgotten = Remembered(lambda: next(numbers), for_s=60), Remembered(lambda: next(numbers), for_s=0)
    assert [kept(), kept(), kept()] == [1, 1, 1]
    assert [forgotten(), forgotten()] == [2, 3]
    assert kept.renewed() == 4
    assert kept() == 4


def test_while_one_asks_the_others_use_what_was_known():
    asking, answer = threading.Event(), threading.Event()
    answers = iter(["known", "new"])

    def read() -> str:
        value = next(answers)
        if value == "new":
            asking.set()
            assert answer.wait(10)
        return value

    remembered = Remembered(read, for_s=0)
    assert remembered() == "known"
    slow = threading.Thread(target=remembered)
    slow.start()
    assert asking.wait(10)
    assert remembered() == "known"
    answer.set()
    slow.join()


def test_a_failure_is_told_and_nothing_is_stuck_afterwards():
    outcomes = iter([ConnectionError(), 2])

    def read() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    remembered = Remembered(read, for_s=60)
    with pytest.raises(ConnectionError):
        remembered()
    assert remembered() == 2
