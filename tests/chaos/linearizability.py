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
from decimal import Decimal
from enum import StrEnum

NEVER = float("inf")
# Of steps; a history of a few hundred operations takes about as many steps as it has operations.
MOST_STEPS = 2_000_000


class Kind(StrEnum):
    """ADD also reverses: both put items on the bill. END and FINISH are the system's own, which nobody asks for."""

    ADD = "add"
    EXTEND = "extend"
    CLOSE = "close"
    READ = "read"
    END = "end"
    FINISH = "finish"


class Phase(StrEnum):
    """ENDED: the period is over and nothing has closed the bill yet. To callers it still says `open`."""

    OPEN = "open"
    ENDED = "ended"
    CLOSING = "closing"
    CLOSED = "closed"


Sums = tuple[tuple[str, Decimal], ...]
SHOWN_AS = {
    Phase.OPEN: Phase.OPEN,
    Phase.ENDED: Phase.OPEN,
    Phase.CLOSING: Phase.CLOSING,
    Phase.CLOSED: Phase.CLOSED,
}
REFUSED_BY = {
    "bill_closed": {Phase.CLOSED},
    "bill_closing": {Phase.CLOSING},
    "period_ended": {Phase.ENDED},
    # Concerns something else than the bill's phase: it says nothing about the order.
    "": set(Phase),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A bill as an answer shows it. `version` counts its changes from 1; None where the answer doesn't say."""

    status: str
    items: int
    sums: Sums
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """`asked` and `answered` are seconds on one clock; `answered` NEVER: nobody learnt the outcome.

    `sums` and `items` are what an ADD puts on the bill, `position` the number of the first of them, where it is known.
    `refusal` is None for what took effect, else one of REFUSED_BY. `seen` is the bill right after it.
    """

    kind: Kind
    asked: float
    answered: float = NEVER
    items: int = 0
    sums: Sums = ()
    position: int | None = None
    refusal: str | None = None
    seen: Seen | None = None
    name: str = ""

    @property
    def is_open_ended(self) -> bool:
        return self.answered == NEVER

    @property
    def version_made(self) -> int | None:
        """Which change of the bill this was, where the answer tells."""
        changes = self.kind in {Kind.ADD, Kind.EXTEND} and self.refusal is None
        return self.seen.version if changes and self.seen is not None else None


@dataclass(frozen=True, slots=True)
class State:
    phase: Phase = Phase.OPEN
    version: int = 1
    items: int = 0
    sums: Sums = ()

    def after(self, operation: Operation) -> State | None:
        """None when the operation can't have been answered like this here."""
        if operation.refusal is not None:
            return self if self.phase in REFUSED_BY[operation.refusal] else None
        changed = _EFFECTS[operation.kind](self, operation)
        return changed if changed is not None and changed.looks_like(operation.seen) else None

    def looks_like(self, seen: Seen | None) -> bool:
        if seen is None:
            return True
        told = (SHOWN_AS[self.phase], self.items, self.sums)
        return told == (seen.status, seen.items, seen.sums) and seen.version in {None, self.version}

    def changed(self, phase: Phase) -> State:
        return State(phase, self.version + 1, self.items, self.sums)


def added_up(parts: Iterable[tuple[str, Decimal]]) -> Sums:
    """Exact sums by currency; the sum of nothing is absent, a sum of 0 is not."""
    sums: dict[str, Decimal] = {}
    for code, amount in parts:
        sums[code] = sums.get(code, Decimal(0)) + amount
    return tuple(sorted(sums.items()))


def _add(state: State, operation: Operation) -> State | None:
    if state.phase is not Phase.OPEN or operation.position not in {None, state.items + 1}:
        return None
    sums = added_up((*state.sums, *operation.sums))
    return State(state.phase, state.version + 1, state.items + operation.items, sums)


def _extend(state: State, _: Operation) -> State | None:
    return state.changed(Phase.OPEN) if state.phase is Phase.OPEN else None


def _close(state: State, _: Operation) -> State | None:
    return state.changed(Phase.CLOSING) if state.phase in {Phase.OPEN, Phase.ENDED} else state


def _read(state: State, _: Operation) -> State | None:
    return state


def _end(state: State, _: Operation) -> State | None:
    """The period's end changes no row: only what is accepted from then on."""
    return State(Phase.ENDED, state.version, state.items, state.sums) if state.phase is Phase.OPEN else None


def _finish(state: State, _: Operation) -> State | None:
    return state.changed(Phase.CLOSED) if state.phase in {Phase.ENDED, Phase.CLOSING} else None


_EFFECTS = {
    Kind.ADD: _add,
    Kind.EXTEND: _extend,
    Kind.CLOSE: _close,
    Kind.READ: _read,
    Kind.END: _end,
    Kind.FINISH: _finish,
}


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
