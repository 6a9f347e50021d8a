"""The checker itself: it accepts what a bill that does one thing at a time lets callers see, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.linearizability import TooManySteps, check
from tests.chaos.model import NEVER, Kind, Operation, Seen, State, added_up
from tests.chaos.simulated import OPERATIONS, history_of

HISTORIES = 60
GEL = (("GEL", Decimal("3.6")),)


def seen(items: int, status: str = "open", sums: str = "3.6") -> Seen:
    return Seen(status, items, added_up([("GEL", Decimal(sums) * items)]) if items else ())


def add(asked: float, answered: float, **more: Any) -> Operation:
    return Operation(Kind.ADD, asked, answered, 1, GEL, **more)


def read(asked: float, answered: float, items: int, status: str = "open") -> Operation:
    return Operation(Kind.READ, asked, answered, seen=seen(items, status))


def test_a_read_during_an_add_may_see_it_or_not() -> None:
    assert check([add(0, 10), read(1, 2, 0)])
    assert check([add(0, 10), read(1, 2, 1)])


def test_a_read_after_an_add_sees_it() -> None:
    assert check([add(0, 1), read(2, 3, 1)])
    assert not check([add(0, 1), read(2, 3, 0)])


def test_reads_never_go_back() -> None:
    assert not check([add(0, 10), read(1, 2, 1), read(3, 4, 0)])


def test_an_add_whose_outcome_nobody_learnt_counts_at_any_later_time_or_never() -> None:
    unknown = add(0, NEVER)
    assert check([unknown, read(1, 2, 0), read(3, 4, 0)])
    assert check([unknown, read(1, 2, 0), read(3, 4, 1)])
    assert not check([unknown, read(1, 2, 1), read(3, 4, 0)])
    assert not check([read(-2, -1, 1), unknown])


def test_an_add_after_the_close_was_answered_is_refused() -> None:
    close = Operation(Kind.CLOSE, 0, 1)
    assert check([close, add(2, 3, refusal="bill_closing")])
    assert not check([close, add(2, 3)])
    assert check([close, add(0.5, 3)])


def test_nothing_is_refused_before_anybody_asked_for_a_close() -> None:
    assert not check([add(0, 1, refusal="bill_closing"), Operation(Kind.CLOSE, 2, 3)])


def test_the_end_of_the_period_refuses_until_the_system_closes() -> None:
    system = [Operation(Kind.END, 5), Operation(Kind.FINISH, 5)]
    assert check([*system, add(6, 7, refusal="period_ended"), read(8, 9, 0, "closed")])
    assert not check([*system, add(1, 2, refusal="period_ended")])
    assert not check([*system, read(8, 9, 0, "closed"), add(10, 11, refusal="period_ended")])


def test_an_answer_that_counts_changes_settles_the_order() -> None:
    first, second = (add(0, 10, seen=replace(seen(n), version=1 + n)) for n in (1, 2))
    assert check([first, second])
    assert not check([replace(second, asked=0, answered=1), replace(first, asked=2, answered=3)])


def test_a_search_without_end_is_given_up_and_says_so() -> None:
    many = [add(0, 100) for _ in range(30)]
    with pytest.raises(TooManySteps):
        check([*many, read(101, 102, 31)], most_steps=1_000)


def test_a_long_history_takes_about_as_many_steps_as_it_has_operations() -> None:
    history = history_of(random.Random(7), operations=2_000, callers=16, lost_answers=0.01)
    assert check(history, most_steps=8_000)


# Faults. Each is planted into a history that is right, at a random place where it makes a difference.


def final_reads_without(history: list[Operation], lost: Operation) -> list[Operation]:
    """What everybody sees who asks after it was answered, if it were not there."""

    def without(operation: Operation) -> Operation:
        shown = operation.seen
        if shown is None or operation.asked < lost.answered:
            return operation
        sums = added_up([*shown.sums, *((code, -amount) for code, amount in lost.sums)])
        return replace(operation, seen=replace(shown, items=shown.items - lost.items, sums=sums, version=None))

    return [without(operation) for operation in history]


def lost_add(chance: random.Random, history: list[Operation]) -> list[Operation]:
    return final_reads_without(history, chance.choice(acknowledged(history)))


def double_add(chance: random.Random, history: list[Operation]) -> list[Operation]:
    twice = chance.choice(acknowledged(history))
    negated = tuple((code, -amount) for code, amount in twice.sums)
    return final_reads_without(history, replace(twice, items=-twice.items, sums=negated))


def add_after_close(chance: random.Random, history: list[Operation]) -> list[Operation]:
    """Somebody's refusal turned into an acknowledgement."""
    after = min(o.answered for o in history if o.kind is Kind.CLOSE)
    late = [o for o in history if o.kind is Kind.ADD and o.refusal and o.asked > after]
    if not late:
        end = max(o.answered for o in history if not o.is_open_ended)
        return [*history, add(end + 1, end + 2)]
    accepted = chance.choice(late)
    return [replace(o, refusal=None) if o is accepted else o for o in history]


def stale_read(chance: random.Random, history: list[Operation]) -> list[Operation]:
    """A reader is shown what was so before a change that had been acknowledged when the reader asked."""
    reads = [o for o in history if o.kind is Kind.READ and older_than(history, o)]
    one = chance.choice(reads)
    shown = chance.choice(older_than(history, one))
    return [replace(o, seen=shown) if o is one else o for o in history]


def older_than(history: list[Operation], read: Operation) -> list[Seen]:
    """What was seen by those who were answered before a change began that was answered before the read was asked."""
    changes = [o for o in acknowledged(history) if o.answered < read.asked]
    return [o.seen for o in history if o.seen and any(o.answered < c.asked for c in changes)]


def refused_and_counted(chance: random.Random, history: list[Operation]) -> list[Operation]:
    one = chance.choice(acknowledged(history))
    return [replace(o, refusal="bill_closed", seen=None, position=None) if o is one else o for o in history]


def reopened(_: random.Random, history: list[Operation]) -> list[Operation]:
    *before, last = history
    assert last.seen is not None
    return [*before, replace(last, seen=replace(last.seen, status="open", version=None))]


def another_sum(chance: random.Random, history: list[Operation]) -> list[Operation]:
    """A hundredth of a cent off, in one answer."""
    one = chance.choice([o for o in history if o.seen is not None and o.seen.sums])
    assert one.seen is not None
    (code, amount), *others = one.seen.sums
    wrong = replace(one.seen, sums=((code, amount + Decimal("0.0001")), *others))
    return [replace(o, seen=wrong) if o is one else o for o in history]


def acknowledged(history: list[Operation]) -> list[Operation]:
    return [o for o in history if o.kind is Kind.ADD and o.refusal is None and not o.is_open_ended]


FAULTS: list[Callable[[random.Random, list[Operation]], list[Operation]]] = [
    lost_add, double_add, add_after_close, stale_read, refused_and_counted, reopened, another_sum,
]  # fmt: skip


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "not-counted"])
def test_right_histories_are_accepted(counted: bool) -> None:
    for seed in range(HISTORIES):
        history = history_of(random.Random(seed), counted=counted)
        verdict = check(history)
        assert len(history) >= OPERATIONS
        assert verdict, f"seed {seed}: {verdict}"


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "not-counted"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(
    fault: Callable[[random.Random, list[Operation]], list[Operation]], counted: bool
) -> None:
    for seed in range(HISTORIES):
        chance = random.Random(seed)
        history = fault(chance, history_of(chance, counted=counted))
        assert not check(history), f"seed {seed}"


def test_a_verdict_names_what_could_not_follow() -> None:
    verdict = check([add(0, 1), read(2, 3, 0)])
    assert (verdict.done, verdict.stuck) == (1, (read(2, 3, 0),))
    assert verdict.state == State(version=2, items=1, sums=GEL)
