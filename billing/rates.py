"""Exchange rates: what a snapshot is, and conversion.

Nothing here does I/O. Which deliveries become a snapshot, `billing/deliveries.py` decides; every page and
every answer converts through `convert`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from uuid import UUID

from billing import money
from billing.money import Currency, Payable

BASE = "USD"
STALE_AFTER = timedelta(hours=24)

RATE_MISSING = "rate_missing"


@dataclass(frozen=True, slots=True)
class RateSnapshot:
    """Rates as one provider gave them at one instant; immutable once stored.

    `rates` are units of the currency per 1 `base`, by ISO code, the base itself included at 1.
    `provider_time` is the provider's own, never later than `fetched_at`.
    """

    id: UUID
    provider: str
    base: str
    provider_time: datetime
    fetched_at: datetime
    rates: Mapping[str, Decimal]
    sample: bool = False

    def age(self, now: datetime) -> timedelta:
        """Counted from the provider's time, however often the same figures were fetched since."""
        return max(now - self.provider_time, timedelta(0))

    def is_stale(self, now: datetime, limit: timedelta = STALE_AFTER) -> bool:
        """Samples never are: nobody takes them for today's."""
        return not self.sample and self.age(now) > limit


@dataclass(frozen=True, slots=True)
class Leg:
    """One currency's part of a conversion: `payable.amount x rate_to / rate_from`, rounded once.

    The leg in the target currency itself is the payable as it is; it has no rates.
    """

    payable: Payable
    rate_from: Decimal | None
    rate_to: Decimal | None
    converted: Decimal

    @property
    def exact(self) -> Fraction:
        """Before it is rounded."""
        amount = Fraction(self.payable.amount)
        if self.rate_from is None or self.rate_to is None:
            return amount
        return amount * _ratio(self.rate_from, self.rate_to)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A whole bill in one currency: `amount` is the sum of what the legs show.

    Without every rate it needs it is unavailable: `amount` None, `reason` "rate_missing", no legs,
    and `missing` names the currencies that have no rate.
    """

    to: Currency
    amount: Decimal | None
    reason: str | None
    legs: tuple[Leg, ...]
    snapshot: RateSnapshot | None
    missing: tuple[str, ...] = ()

    @property
    def is_available(self) -> bool:
        return self.amount is not None


def convert(payables: Iterable[Payable], snapshot: RateSnapshot | None, to: Currency) -> Conversion:
    """The payables expressed in `to`. The one place that converts.

    Payables in `to` alone need no rates, and none at all are 0.
    """
    payables = tuple(payables)
    rates = snapshot.rates if snapshot else {}
    missing = _missing_rates(payables, rates, to)
    if missing:
        return Conversion(to, None, RATE_MISSING, (), snapshot, missing)
    legs = tuple(_leg(payable, rates, to) for payable in payables)
    total = money.exact_sum(leg.converted for leg in legs)
    return Conversion(to, money.round_to_minor_units(total, to), None, legs, snapshot)


def _missing_rates(payables: Collection[Payable], rates: Mapping[str, Decimal], to: Currency) -> tuple[str, ...]:
    foreign = {payable.currency.code for payable in payables} - {to.code}
    needed = foreign | {to.code} if foreign else set()
    return tuple(sorted(needed - rates.keys()))


def _leg(payable: Payable, rates: Mapping[str, Decimal], to: Currency) -> Leg:
    if payable.currency.code == to.code:
        return Leg(payable, None, None, payable.amount)
    rate_from, rate_to = rates[payable.currency.code], rates[to.code]
    exact = Fraction(payable.amount) * _ratio(rate_from, rate_to)
    return Leg(payable, rate_from, rate_to, money.round_to_minor_units(exact, to))


@lru_cache(maxsize=4096)
def _ratio(rate_from: Decimal, rate_to: Decimal) -> Fraction:
    """Remembered: one snapshot's rates serve all conversions until the next."""
    return Fraction(rate_to) / Fraction(rate_from)
