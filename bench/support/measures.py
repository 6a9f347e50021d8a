"""Ways of doing the same, measured in turn: round after round, so that what drifts on the machine hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.support.figures import Aim, Figure
from bench.support.load import Sample

ATTEMPTS = 3


@dataclass
class Way:
    """One way of doing it; `rounds` holds what each turn measured."""

    name: str
    measure: Callable[[], Sample]
    rounds: list[Sample] = field(default_factory=list)
    may_refuse: bool = False


def in_turns(ways: Sequence[Way], rounds: int) -> None:
    """The first of them alternates. Raises when one refuses that may not: figures of refusals are none."""
    for number in range(rounds):
        for way in ways if number % 2 else reversed(ways):
            way.rounds.append(_measured(way))


def _measured(way: Way) -> Sample:
    """On a machine that does too much else, a short window can pass without an answer: then it is measured again."""
    for _ in range(ATTEMPTS):
        sample = way.measure()
        if sample.refused and not way.may_refuse:
            raise RuntimeError(f"{way.name}: {sample.refused} refused, first {sample.first_refusal[:300]!r}")
        if sample.answered and sample.latencies_ms:
            return sample
    raise RuntimeError(f"{way.name}: no answer within {sample.window_s} s, {ATTEMPTS} times")


def compared(
    what: str,
    ours: Way,
    other: Way,
    measured: Callable[[Sample], float],
    unit: str,
    aim: Aim | None = None,
    *,
    instead: Aim | None = None,
    why: str = "",
) -> Figure:
    """Medians of the rounds, and the median of the rounds' own ratios: what slows one round slows both of it."""
    pairs = zip(ours.rounds, other.rounds, strict=True)
    given_ratio = statistics.median(measured(one) / measured(two) for one, two in pairs)
    return Figure(
        what,
        statistics.median(map(measured, ours.rounds)),
        unit,
        other.name,
        statistics.median(map(measured, other.rounds)),
        given_ratio,
        aim,
        instead,
        why,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured."""
    if not ordered:
        return float("nan")
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def p50(sample: Sample) -> float:
    return percentile(sorted(sample.latencies_ms), 50)


def p99(sample: Sample) -> float:
    return percentile(sorted(sample.latencies_ms), 99)


def per_second(sample: Sample) -> float:
    return sample.per_second


def counted(clients: int) -> str:
    return "1 client" if clients == 1 else f"{clients} clients"
