"""What a rates provider delivers, and what becomes of it: accepted, unchanged, quarantined or refused.

Nothing here does I/O: `billing/exchange` asks the provider, the ledger stores the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from billing import money
from billing.clock import rfc3339
from billing.rates import BASE, STALE_AFTER, RateSnapshot

CLOCK_TOLERANCE = timedelta(seconds=60)
QUARANTINE_FACTOR = 2
AGREEING_FETCHES = 3
AGREEMENT = Fraction(5, 100)
HIGHEST_RATE = Decimal(10**12)
LOWEST_RATE = Decimal("1e-12")
MOST_DIGITS = 30


@dataclass(frozen=True, slots=True)
class FetchedRates:
    """What a provider delivered, not yet judged: `rates` may hold anything that JSON can.

    `etag` and `last_modified` go with the next request for the same rates, as they are.
    """

    provider: str
    base: str
    provider_time: datetime
    rates: Mapping[str, object]
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class NotModified:
    """The provider's answer that nothing changed since the delivery whose validators were sent."""


class RatesRefused(Exception):
    """The provider delivered rates that can't be right; the last good snapshot stays.

    `reason` is one of wrong_base, future_time, stale_time, not_newer, bad_rate,
    base_rate_not_one, no_rates.
    """

    def __init__(self, reason: str, sentence: str):
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Move:
    """A rate before and after a delivery, per 1 base."""

    currency: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Accepted:
    """The snapshot serves from now on. `agreeing_fetches` is 0 unless agreement lifted its quarantine."""

    snapshot: RateSnapshot
    agreeing_fetches: int = 0


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The current snapshot is what the provider still says."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The snapshot waits for an admin, or for further fetches that agree with it; `moves` says why."""

    snapshot: RateSnapshot
    moves: tuple[Move, ...]
    agreeing_fetches: int


Verdict = Accepted | Unchanged | Quarantined


def judge(
    delivery: FetchedRates | NotModified,
    *,
    current: RateSnapshot | None,
    pending: Quarantined | None,
    now: datetime,
    snapshot_id: UUID,
    stale_after: timedelta = STALE_AFTER,
) -> Verdict:
    """What becomes of a delivery; raises RatesRefused, which leaves current and pending as they are.

    `current` is the newest accepted snapshot (a sample counts as none), `pending` the last verdict
    of quarantine that is still undecided. NotModified must answer the validators of `pending` if
    there is one. A verdict's snapshot is always a new one, with `snapshot_id` and fetched `now`;
    every verdict but Quarantined ends a quarantine.

    A rate beyond a factor of 2 from the current one quarantines. The third fetch in a row that
    agrees lifts it, the first being the one that was quarantined; one that doesn't agree starts
    anew. Fetches agree when the earlier has every rate that moved in the later, and no rate differs
    by more than 5 %: a market that truly jumped still drifts between fetches, whereas a misplaced
    decimal point, a swapped pair or a redenomination taken back is off by far more.

    Provider's times up to 60 s ahead of our clock are taken as `now`, so that a small skew loses
    no delivery and no stored time lies in the future.
    """
    current = None if current is None or current.sample else current
    if isinstance(delivery, NotModified):
        if pending is None:
            return Unchanged()
        delivery = _delivered_again(pending.snapshot)
    snapshot = _checked(delivery, now, snapshot_id, stale_after)
    if current is None:
        return Accepted(snapshot)
    if snapshot.provider_time < current.provider_time:
        raise RatesRefused("not_newer", f"the rates of {rfc3339(delivery.provider_time)} are older than ours")
    if snapshot.provider_time == current.provider_time and snapshot.rates == current.rates:
        return Unchanged()
    moves = moved_rates(current, snapshot)
    return _quarantine(snapshot, moves, pending) if moves else Accepted(snapshot)


def moved_rates(before: RateSnapshot, after: RateSnapshot) -> tuple[Move, ...]:
    """The rates in both that differ by more than a factor of 2, in either direction, sorted by code."""
    common = sorted(before.rates.keys() & after.rates.keys())
    moves = (Move(code, before.rates[code], after.rates[code]) for code in common)
    return tuple(move for move in moves if _ratio(move.before, move.after) > QUARANTINE_FACTOR)


def _quarantine(snapshot: RateSnapshot, moves: tuple[Move, ...], pending: Quarantined | None) -> Verdict:
    agreeing = 1
    if pending is not None and _agree(pending.snapshot, snapshot, moves):
        agreeing = pending.agreeing_fetches + 1
    if agreeing >= AGREEING_FETCHES:
        return Accepted(snapshot, agreeing)
    return Quarantined(snapshot, moves, agreeing)


def _agree(earlier: RateSnapshot, later: RateSnapshot, moves: tuple[Move, ...]) -> bool:
    if not all(move.currency in earlier.rates for move in moves):
        return False
    common = earlier.rates.keys() & later.rates.keys()
    return all(_ratio(earlier.rates[code], later.rates[code]) <= 1 + AGREEMENT for code in common)


def _ratio(one: Decimal, other: Decimal) -> Fraction:
    return Fraction(max(one, other)) / Fraction(min(one, other))


def _delivered_again(snapshot: RateSnapshot) -> FetchedRates:
    return FetchedRates(snapshot.provider, snapshot.base, snapshot.provider_time, snapshot.rates)


def _checked(delivery: FetchedRates, now: datetime, snapshot_id: UUID, stale_after: timedelta) -> RateSnapshot:
    if delivery.base != BASE:
        raise RatesRefused("wrong_base", f"the rates are per {str(delivery.base)[:20]!r}, not per {BASE}")
    if delivery.provider_time > now + CLOCK_TOLERANCE:
        raise RatesRefused("future_time", f"the rates are of {rfc3339(delivery.provider_time)}, in the future")
    if now - delivery.provider_time > stale_after:
        raise RatesRefused("stale_time", f"the rates are of {rfc3339(delivery.provider_time)}, too old to use")
    return RateSnapshot(
        id=snapshot_id,
        provider=delivery.provider,
        base=delivery.base,
        provider_time=min(delivery.provider_time, now),
        fetched_at=now,
        rates=_checked_rates(delivery.rates),
    )


def _checked_rates(delivered: Mapping[str, object]) -> dict[str, Decimal]:
    """Those of ISO currencies, all of them sound; other codes (BTC, XAU) are none of ours."""
    rates = {code: _checked_rate(code, rate) for code, rate in delivered.items() if money.is_currency(code)}
    if rates.setdefault(BASE, Decimal(1)) != 1:
        raise RatesRefused("base_rate_not_one", f"1 {BASE} is said to be {rates[BASE]} {BASE}")
    if len(rates) == 1:
        raise RatesRefused("no_rates", "there is no rate of any currency")
    return rates


def _checked_rate(code: str, rate: object) -> Decimal:
    if not isinstance(rate, Decimal) or not rate.is_finite():
        raise RatesRefused("bad_rate", f"the rate of {code} is no number")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or len(rate.as_tuple().digits) > MOST_DIGITS:
        raise RatesRefused("bad_rate", f"the rate of {code} is out of all bounds")
    return money.without_trailing_zeros(rate)
