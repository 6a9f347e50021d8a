"""Ways of doing the same, measured in turn: round after round, so that what drifts on the machine hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.support.figures import Aim, Figure
from bench.support.load import Sample


@dataclass
class Way:
    """One way of doing it; `rounds` holds what each turn measured."""

    name: str
    measure: Callable[[], Sample]
    rounds: list[Sample] = field(default_factory=list)


def in_turns(ways: Sequence[Way], rounds: int) -> None:
    """The first of them alternates. Raises when one refuses: figures of refusals are none."""
    for number in range(rounds):
        for way in ways if number % 2 else reversed(ways):
            sample = way.measure()
            if sample.refused or not sample.latencies_ms:
                raise RuntimeError(f"{way.name}: {sample.refused} refused, first {sample.first_refusal[:300]!r}")
            way.rounds.append(sample)


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
