"""The first page: what accrues, what closes, what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from flask import request
from flask.typing import ResponseReturnValue

from billing import money
from billing.bill import Bill, BillStatus
from billing.ledger import overview as ledger
from billing.ledger.overview import Accruing, Overview
from billing.rates import Conversion, Leg, convert
from webapp.attention import Concern
from webapp.bars import BarChart, bar_chart, share
from webapp.formatting import duration
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.rendering import render
from webapp.rates import RatesInUse
from webapp.system import System, system

DAYS = 30
CLOSING_SOON = 6


@dataclass(frozen=True, slots=True)
class AccruingLine:
    """One currency; `leg` is None where it can't be converted."""

    accruing: Accruing
    leg: Leg | None


@dataclass(frozen=True, slots=True)
class ClosingSoon:
    bill: Bill
    closes_in: str


@dataclass(frozen=True, slots=True)
class StateBar:
    status: BillStatus
    count: int
    width: str


@dataclass(frozen=True, slots=True)
class ShownOverview:
    """`accrual_currency` is that of the chart; `days` names each of its columns."""

    overview: Overview
    rates: RatesInUse
    conversion: Conversion
    lines: Sequence[AccruingLine]
    currencies: Sequence[str]
    accrual_currency: str
    accrual_currencies: Sequence[str]
    accrual: BarChart
    accrual_sum: Decimal
    states: Sequence[StateBar]
    closing_soon: Sequence[ClosingSoon]
    concerns: Sequence[Concern]

    @property
    def month(self) -> str:
        return f"{self.overview.now:%B}"

    @property
    def has_bills(self) -> bool:
        return any(self.overview.states.values())

    @property
    def needs_rates(self) -> bool:
        return any(line.leg is None or line.leg.rate_to is not None for line in self.lines)


@pages.get("/")
@allow(Role.VIEWER)
def home() -> ResponseReturnValue:
    return render("overview/show.html", shown=_shown(system(), request.args))


def _shown(system: System, arguments: Mapping[str, str]) -> ShownOverview:
    """A currency that can't be shown is one that nobody chose: the usual one is shown."""
    offered = system.supported_currencies
    reporting = _one_of(offered, arguments.get("in")) or offered[0]
    chosen = arguments.get("accrual", "")
    chosen = chosen if money.is_currency(chosen) else reporting
    read = ledger.read(system.engine, currency=chosen, days=DAYS, bills=CLOSING_SOON)
    rates = system.rates.current()
    conversion = convert((line.payable for line in read.accruing), rates.snapshot, money.currency(reporting))
    legs = {leg.payable.currency.code: leg for leg in conversion.legs}
    return ShownOverview(
        overview=read,
        rates=rates,
        conversion=conversion,
        lines=[AccruingLine(line, legs.get(line.payable.currency.code)) for line in read.accruing],
        currencies=offered,
        accrual_currency=chosen,
        accrual_currencies=tuple(dict.fromkeys((chosen, *read.accrual_currencies))),
        accrual=bar_chart([(_day(day), read.accrual.get(day, Decimal(0))) for day in _days(read.now.date())]),
        accrual_sum=money.exact_sum(read.accrual.values()),
        states=_states(read.states),
        closing_soon=[ClosingSoon(bill, duration(bill.due_at - read.now)) for bill in read.closing_soon],
        concerns=system.attention.renewed().concerns,
    )


def _one_of(codes: Sequence[str], code: str | None) -> str | None:
    return code if code in codes else None


def _days(today: date) -> list[date]:
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _states(states: Mapping[BillStatus, int]) -> list[StateBar]:
    most = max(states.values())
    return [StateBar(status, count, share(count, most)) for status, count in states.items()]
