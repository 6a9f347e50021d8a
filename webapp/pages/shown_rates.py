"""What the page of rates is given: the figures of a base that can be chosen, and the history of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.ledger import rate_history
from billing.rates import RateSnapshot
from webapp.formatting import figure
from webapp.line_charts import LineChart, Point, line_points
from webapp.rates import per_unit, quotient
from webapp.system import System

# Of quotients: enough to read, and to recognise the stored rate in.
DIGITS = 6
SPANS_DAYS = (30, 90)


@dataclass(frozen=True, slots=True)
class ShownRate:
    """`rate`: units of the currency per 1 of the base; `inverse`: of the base per 1 of the currency."""

    code: str
    rate: Decimal | None
    inverse: Decimal | None


@dataclass(frozen=True, slots=True)
class ShownHistory:
    """A pair over the last `days`; `chart` is None while there are fewer than two days of it."""

    from_: str
    to: str
    days: int
    latest: Decimal | None
    lowest: Decimal | None
    highest: Decimal | None
    chart: LineChart | None


@dataclass(frozen=True, slots=True)
class ShownRates:
    """`is_stored_base`: the figures are the provider's own, not quotients of them."""

    base: str
    rates: Sequence[ShownRate]
    history: ShownHistory
    codes: Sequence[str]
    spans: Sequence[int]
    is_stored_base: bool
    digits: int = DIGITS


def shown_rates(system: System, snapshot: RateSnapshot, arguments: Mapping[str, str]) -> ShownRates:
    """What the address can't mean, it leaves as it is at first."""
    offered = system.supported_currencies
    codes = tuple(code for code in dict.fromkeys((snapshot.base, *offered)) if code in snapshot.rates)
    base = _one_of(codes, arguments.get("base")) or snapshot.base
    rates = [ShownRate(code, *_both_ways(snapshot, code, base)) for code in offered if code != base]
    return ShownRates(base, rates, _history(system, codes, arguments), codes, SPANS_DAYS, base == snapshot.base)


def _both_ways(snapshot: RateSnapshot, code: str, base: str) -> tuple[Decimal | None, Decimal | None]:
    return per_unit(snapshot, code, base, digits=DIGITS), per_unit(snapshot, base, code, digits=DIGITS)


def _one_of(codes: Sequence[str], code: str | None) -> str | None:
    return code if code in codes else None


def _history(system: System, codes: Sequence[str], arguments: Mapping[str, str]) -> ShownHistory:
    from_ = _one_of(codes, arguments.get("from")) or codes[0]
    others = [code for code in codes if code != from_] or [from_]
    to = _one_of(codes, arguments.get("to")) or others[0]
    days = next((span for span in SPANS_DAYS if str(span) == arguments.get("days")), SPANS_DAYS[0])
    found = rate_history.pair(system.engine, from_, to, days=days, samples=system.config.settings.sample_rates)
    points = [Point(day.provider_time, quotient(day.rate_to, day.rate_from, digits=DIGITS)) for day in found]
    values = [point.value for point in points]
    return ShownHistory(
        from_,
        to,
        days,
        latest=values[-1] if values else None,
        lowest=min(values, default=None),
        highest=max(values, default=None),
        chart=line_points(points, title=f"{to} per 1 {from_}", description=_in_words(from_, to, days, values)),
    )


def _in_words(from_: str, to: str, days: int, values: Sequence[Decimal]) -> str:
    if not values:
        return ""
    first, last, lowest, highest = (figure(value) for value in (values[0], values[-1], min(values), max(values)))
    return (
        f"{to} for 1 {from_} over the last {days} days, the last rate of each day: "
        f"from {first} to {last}, between {lowest} and {highest}."
    )
