"""Whether a bill's history could have happened one operation after the other.

A history is what callers saw of one bill: for each operation when it was asked for, when it was answered, and the
answer. It is linearizable when every operation can be given one instant between the two at which it took effect, so
that each answer is what a bill that does one thing at a time would have answered. An operation whose outcome nobody
learnt may have taken effect at any later instant, or never.

The search is Wing and Gong's with the memory of Lowe's: operations are tried in every order that time allows, and what
led nowhere once (these operations done, the bill in this state) is not tried again. What changes nothing and fits is
taken at once, and a change that says which one it was has its place, so that hardly any wrong order is begun.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.model import NEVER, Operation, State

# A history of a few hundred operations takes about as many steps as it has operations; so many take 20 s and 80 MB.
MOST_STEPS = 200_000


class TooManySteps(Exception):
    """The search was given up: it says nothing about the history."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`stuck` when there is no order: the most operations that could be put in one, and those that could not follow."""

    linearizable: bool
    done: int = 0
    stuck: tuple[Operation, ...] = ()
    state: State = field(default_factory=State)

    def __bool__(self) -> bool:
        return self.linearizable


def check(history: Iterable[Operation], *, first: State | None = None, most_steps: int = MOST_STEPS) -> Verdict:
    """Raises TooManySteps."""
    operations = sorted(history, key=lambda operation: (operation.asked, operation.answered))
    return _Search(operations, first or State(), most_steps).verdict()


class _Search:
    """Depth first. `_first` operations are done, and beyond them those whose bits are set in `_beyond`."""

    def __init__(self, operations: Sequence[Operation], first: State, most_steps: int) -> None:
        self._operations = operations
        self._required = sum(not operation.is_open_ended for operation in operations)
        # Which operation says that it made a version, or took a position: no other one can have done so.
        self._makers = {o.version_made: n for n, o in enumerate(operations) if o.version_made is not None}
        self._takers = {o.position: n for n, o in enumerate(operations) if o.position is not None}
        self._most_steps = most_steps
        self._tried: set[tuple[int, int, State]] = set()
        self._start = first
        self._best = Verdict(linearizable=False, state=first)

    def verdict(self) -> Verdict:
        stack = [(0, 0, 0, self._start)]
        for step in itertools.count():
            if not stack:
                return self._best
            if step > self._most_steps:
                raise TooManySteps
            first, beyond, required, state = stack.pop()
            if required == self._required:
                return Verdict(linearizable=True, done=required, state=state)
            self._remember_best(first, beyond, required, state)
            # The earliest is tried first, so it is put on the stack last.
            stack.extend(reversed(list(self._next(first, beyond, required, state))))
        raise AssertionError

    def _next(self, first: int, beyond: int, required: int, state: State) -> Iterable[tuple[int, int, int, State]]:
        for index, after in self._possible(first, beyond, state):
            operation = self._operations[index]
            done = _with(first, beyond, index)
            if (*done, after) not in self._tried:
                self._tried.add((*done, after))
                yield (*done, required + (not operation.is_open_ended), after)

    def _possible(self, first: int, beyond: int, state: State) -> list[tuple[int, State]]:
        """What can follow, and the bill after it."""
        found = []
        for index in self._candidates(first, beyond):
            after = state.after(self._operations[index])
            if after == state:
                # It changes nothing and fits here: no order needs it to be later, so no other is tried.
                return [(index, after)]
            if after is not None and self._may_lead(index, state, after):
                found.append((index, after))
        return found

    def _may_lead(self, index: int, before: State, after: State) -> bool:
        maker = index if after.version == before.version else self._makers.get(after.version, index)
        taker = index if after.items == before.items else self._takers.get(before.items + 1, index)
        return maker == taker == index

    def _candidates(self, first: int, beyond: int) -> Iterable[int]:
        """Those not done that were asked for before any other that is not done was answered."""
        deadline = NEVER
        found = []
        for index in range(first, len(self._operations)):
            operation = self._operations[index]
            if operation.asked > deadline:
                break
            if not beyond >> (index - first) & 1:
                found.append(index)
                deadline = min(deadline, operation.answered)
        return found

    def _remember_best(self, first: int, beyond: int, required: int, state: State) -> None:
        if required >= self._best.done:
            stuck = tuple(self._operations[index] for index in self._candidates(first, beyond))
            self._best = Verdict(linearizable=False, done=required, stuck=stuck, state=state)


def _with(first: int, beyond: int, index: int) -> tuple[int, int]:
    """The same with `index` done too; what is done without a gap moves into `first`."""
    beyond |= 1 << (index - first)
    while beyond & 1:
        first, beyond = first + 1, beyond >> 1
    return first, beyond


def described(verdict: Verdict, count: int, most: int = 6) -> str:
    """Why a history of `count` operations has no order, for whoever has to find out."""
    names = "; ".join(f"{operation.name or operation.kind} {_seen(operation)}" for operation in verdict.stuck[:most])
    state = verdict.state
    sums: Mapping[str, str] = {code: str(amount) for code, amount in state.sums}
    where = f"{state.phase}, version {state.version}, {state.items} items, {sums}"
    return f"after {verdict.done} of {count} operations ({where}) none can follow of: {names}"


def _seen(operation: Operation) -> str:
    if operation.refusal is not None:
        return f"refused {operation.refusal}"
    seen = operation.seen
    return "" if seen is None else f"saw {seen.status} {seen.version} {seen.items} {dict(seen.sums)}"
