"""What a workload found, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bench.support.stack import Stack


@dataclass(frozen=True)
class Aim:
    """`bound` on the ratio, or on the figure itself unless `of_ratio`."""

    bound: float
    at_least: bool = False
    of_ratio: bool = True

    def holds(self, figure: Figure) -> bool:
        value = figure.ratio if self.of_ratio else figure.value
        if value is None:
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{'x' if self.of_ratio else ''}"


def at_most(ratio: float) -> Aim:
    return Aim(ratio)


def at_least(ratio: float) -> Aim:
    return Aim(ratio, at_least=True)


def no_more_than(value: float) -> Aim:
    """Of the figure itself, in its unit."""
    return Aim(value, of_ratio=False)


def no_less_than(value: float) -> Aim:
    """Of the figure itself, in its unit."""
    return Aim(value, at_least=True, of_ratio=False)


@dataclass(frozen=True)
class Figure:
    """`base` is the same figure of what it is compared with (`against`), from the same run, in the same unit.

    `given_ratio` where the ratio isn't simply the quotient, as the median of the rounds' own ratios.
    `instead` is what is promised where the aim is out of reach here, and `why` the decision that shows it.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    base: float | None = None
    given_ratio: float | None = None
    aim: Aim | None = None
    instead: Aim | None = None
    why: str = ""

    @property
    def ratio(self) -> float | None:
        if self.given_ratio is not None:
            return self.given_ratio
        return self.value / self.base if self.base else None

    @property
    def verdict(self) -> str:
        if self.aim is None:
            return ""
        if self.aim.holds(self):
            return "holds"
        if self.instead is None:
            return "misses"
        return f"misses, {'within' if self.instead.holds(self) else 'and breaks'} {self.instead} ({self.why})"

    @property
    def is_broken(self) -> bool:
        """Whether what is promised is missed."""
        promised = self.instead or self.aim
        return promised is not None and not promised.holds(self) and not (self.aim and self.aim.holds(self))


@dataclass
class Plan:
    """How much to do. `quick` is for a first impression: a tenth of the time, the smaller sizes, no verdicts worth
    quoting. A workload appends to `notes` what the table can't say."""

    quick: bool = False
    notes: list[str] = field(default_factory=list)

    def rounds(self, many: int) -> int:
        return 1 if self.quick else many

    def seconds(self, many: float) -> float:
        return max(many / 4, 0.5) if self.quick else many


class Workload(Protocol):
    """A module of bench/workloads."""

    TITLE: str

    def measure(self, stack: Stack, plan: Plan) -> list[Figure]: ...
