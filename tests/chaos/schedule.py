"""Which processes are killed, in which order and how: the same for the same seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

WEB, WEB_PROCESS, WORKER, TEMPORAL, POSTGRES = "web", "web process", "worker", "temporal", "postgres"
SINGLES = ((WEB,), (WEB_PROCESS,), (WORKER,), (TEMPORAL,), (POSTGRES,))
PAIRS = (
    *itertools.combinations((WEB, WORKER, TEMPORAL, POSTGRES), 2),
    *((WEB_PROCESS, other) for other in (WORKER, TEMPORAL, POSTGRES)),
)
# Clients have begun to send by then, and are not done.
LONGEST_LEAD_S = 0.3
LONGEST_STAGGER_S = 0.4
LONGEST_DOWN_S = 2.0


@dataclass(frozen=True, slots=True)
class Strike:
    """`targets` are killed in this order, `stagger_s` apart, `lead_s` after clients got something to do, and started
    again in the order of `restarts` after `down_s`. `pick` chooses among the web's processes where one of them dies."""

    targets: tuple[str, ...]
    restarts: tuple[str, ...]
    lead_s: float
    stagger_s: float
    down_s: float
    pick: float

    @property
    def name(self) -> str:
        return " + ".join(sorted(self.targets))


def strikes(seed: int, count: int) -> Iterator[Strike]:
    """Every single process and every pair once, then again in another order."""
    chance = random.Random(f"{seed}/strikes")
    yield from itertools.islice(_strikes(chance), count)


def _strikes(chance: random.Random) -> Iterator[Strike]:
    while True:
        kinds = [*SINGLES, *PAIRS]
        chance.shuffle(kinds)
        for kind in kinds:
            targets = chance.sample(kind, len(kind))
            yield Strike(
                tuple(targets),
                tuple(chance.sample(kind, len(kind))),
                chance.uniform(0, LONGEST_LEAD_S),
                chance.uniform(0, LONGEST_STAGGER_S),
                # Half of them come back at once.
                chance.choice([0.0, chance.uniform(0, LONGEST_DOWN_S)]),
                chance.random(),
            )
