"""What was measured, and the aims it is held against."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.support.load import Sample

SLOWEST_P50 = 1.5
LOWEST_THROUGHPUT = 0.6
SLOWEST_HOT_P99 = 2.5
OVER_THE_SEED = 100.0


@dataclass
class Series:
    """The rounds of one way under one load."""

    name: str
    clients: int
    rounds: list[Sample] = field(default_factory=list)

    @property
    def latencies_ms(self) -> list[float]:
        return sorted(latency for sample in self.rounds for latency in sample.latencies_ms)

    @property
    def per_second(self) -> float:
        return statistics.median(map(per_second, self.rounds))

    @property
    def refused(self) -> int:
        return sum(sample.refused for sample in self.rounds)


@dataclass(frozen=True)
class Ratio:
    """`bound` is the most that is wanted, or the least; None where nobody set an aim."""

    what: str
    value: float
    bound: float | None
    at_least: bool = False

    @property
    def wanted(self) -> str:
        if self.bound is None:
            return ""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}x"

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        holds = self.value >= self.bound if self.at_least else self.value <= self.bound
        return "holds" if holds else "misses"


def beside_floor(load: str, ours: Series, floor: Series, *, hot: bool) -> list[Ratio]:
    found = [
        Ratio(f"{load}: p50", ratio(ours, floor, p50), SLOWEST_P50),
        Ratio(f"{load}: items/s", ratio(ours, floor, per_second), LOWEST_THROUGHPUT, at_least=True),
    ]
    p99s = Ratio(f"{load}: p99", ratio(ours, floor, p99), SLOWEST_HOT_P99 if hot else None)
    return [*found, p99s]


def beside_seed(load: str, ours: Series, seed: Series, *, aim: float | None = OVER_THE_SEED) -> Ratio:
    value = ours.per_second / seed.per_second
    return Ratio(f"{load}: items/s beside the seed's way", value, aim, at_least=True)


def ratio(ours: Series, other: Series, figure: Callable[[Sample], float]) -> float:
    """The median of the rounds' own ratios: what slows the machine for a while slows both of a round."""
    pairs = zip(ours.rounds, other.rounds, strict=True)
    return statistics.median(figure(one) / figure(two) for one, two in pairs)


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
