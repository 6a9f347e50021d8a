"""What was measured, and the aims it is held against."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.load import Sample

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
    def p50_ms(self) -> float:
        return percentile(self.latencies_ms, 50)

    @property
    def p99_ms(self) -> float:
        return percentile(self.latencies_ms, 99)

    @property
    def per_second(self) -> float:
        return statistics.median(sample.per_second for sample in self.rounds)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured."""
    if not ordered:
        return float("nan")
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


@dataclass(frozen=True)
class Ratio:
    """The median over the rounds of what each round's neighbours had: drift hits both of a pair."""

    aim: str
    value: float
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def wanted(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}x"


def ratio(ours: Series, other: Series, figure: Callable[[Sample], float]) -> float:
    pairs = zip(ours.rounds, other.rounds, strict=True)
    return statistics.median(figure(one) / figure(two) for one, two in pairs)


def aims(load: str, ours: Series, floor: Series, *, hot: bool) -> list[Ratio]:
    """What the system's single add is to reach beside the floor under the same load."""
    found = [
        Ratio(f"{load}: p50", ratio(ours, floor, _p50), SLOWEST_P50, at_least=False),
        Ratio(f"{load}: items/s", ratio(ours, floor, _per_second), LOWEST_THROUGHPUT, at_least=True),
    ]
    if hot:
        found.append(Ratio(f"{load}: p99", ratio(ours, floor, _p99), SLOWEST_HOT_P99, at_least=False))
    return found


def over_the_seed(load: str, ours: Series, seed: Series) -> Ratio:
    return Ratio(f"{load}: items/s beside the seed's way", ours.per_second / seed.per_second, OVER_THE_SEED, at_least=True)


def _p50(sample: Sample) -> float:
    return percentile(sorted(sample.latencies_ms), 50)


def _p99(sample: Sample) -> float:
    return percentile(sorted(sample.latencies_ms), 99)


def _per_second(sample: Sample) -> float:
    return sample.per_second
