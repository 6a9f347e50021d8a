"""A bill that does one thing at a time, and what callers see of it: what histories are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

NEVER = float("inf")


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
