"""Histories of a bill that does one thing at a time, as several callers at once see it."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from tests.chaos.model import (
    NEVER,
    SHOWN_AS,
    Kind,
    Operation,
    Phase,
    Seen,
    State,
)

OPERATIONS = 40
CALLERS = 6
# Of outcomes that nobody learnt.
LOST_ANSWERS = 0.08
NEVER_ARRIVES = 0.5
REASONS = {Phase.CLOSED: "bill_closed", Phase.CLOSING: "bill_closing", Phase.ENDED: "period_ended"}


def history_of(
    chance: random.Random,
    *,
    operations: int = OPERATIONS,
    callers: int = CALLERS,
    counted: bool = True,
    lost_answers: float = LOST_ANSWERS,
) -> list[Operation]:
    """Ends with a read of the closed bill by somebody who waited for all others.

    `counted`: answers tell versions and positions.
    """
    asking, state = _asked_for(chance, operations, callers, lost_answers), State()
    found = []
    # Each takes effect at an instant of its own between its two ends.
    for _, operation in sorted(asking, key=lambda asked: asked[0]):
        if operation.is_open_ended and chance.random() < NEVER_ARRIVES:
            found.append(operation)
            continue
        state, answered = _answered(chance, state, operation, counted=counted)
        found.append(answered)
    end = max(o.answered for o in found if not o.is_open_ended) + 1
    closed = Operation(Kind.FINISH, 0)
    state = state.after(closed) or state
    return [*found, closed, Operation(Kind.READ, end, end + 1, seen=_shown(state, counted=counted))]


def _asked_for(
    chance: random.Random, operations: int, callers: int, lost_answers: float
) -> list[tuple[float, Operation]]:
    """With the instants of their effects; each caller asks for one after the other."""
    free = [chance.random() for _ in range(callers)]
    closing_from = operations * chance.uniform(0.5, 0.8)
    asked: list[tuple[float, Operation]] = []
    close = Operation(Kind.CLOSE, 0)
    for number in range(operations):
        caller = min(range(callers), key=free.__getitem__)
        begins = free[caller] + chance.random()
        takes = chance.uniform(0.1, 3)
        free[caller] = begins + takes
        kind = Kind.READ if chance.random() < 0.35 else Kind.ADD
        if number >= closing_from and close not in [operation for _, operation in asked]:
            operation = close = Operation(Kind.CLOSE, begins, begins + takes)
        elif kind is Kind.ADD:
            operation = Operation(kind, begins, begins + takes, 1, _amount(chance))
            if chance.random() < lost_answers:
                operation = replace(operation, answered=NEVER)
        else:
            operation = Operation(kind, begins, begins + takes)
        asked.append((begins + takes * chance.random(), operation))
    return asked


def _amount(chance: random.Random) -> tuple[tuple[str, Decimal], ...]:
    return ((chance.choice(["GEL", "USD"]), Decimal(chance.randrange(1, 10**9)).scaleb(-4)),)


def _answered(chance: random.Random, state: State, operation: Operation, *, counted: bool) -> tuple[State, Operation]:
    if operation.kind is Kind.ADD and state.phase is not Phase.OPEN:
        return state, operation if operation.is_open_ended else replace(operation, refusal=REASONS[state.phase])
    after = state.after(operation)
    assert after is not None
    if operation.is_open_ended or operation.kind is Kind.CLOSE:
        return after, operation
    if counted and operation.kind is Kind.ADD:
        operation = replace(operation, position=after.items)
    shows = operation.kind is Kind.READ or chance.random() < 0.5
    return after, replace(operation, seen=_shown(after, counted=counted)) if shows else operation


def _shown(state: State, *, counted: bool) -> Seen:
    return Seen(SHOWN_AS[state.phase], state.items, state.sums, state.version if counted else None)
