"""The rates a reader's figures are converted by, remembered so that a request seldom asks for them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from uuid import UUID

from sqlalchemy import Engine

from billing.bill import Bill
from billing.ledger import rates as stored_rates
from billing.ledger.clock import now
from billing.ledger.database import single_statement
from billing.rates import RateSnapshot
from billing.settings import Settings
from webapp.remembered import Remembered

CURRENT_FOR_S = 1.0
FROZEN_KEPT = 256


@dataclass(frozen=True, slots=True)
class RatesInUse:
    """What a bill is converted by. `frozen` ones, of a closed bill, never change; others are indicative.

    `snapshot` is None when there are no rates: then conversions are unavailable. `stale` was judged at
    `as_of`: now, or the cut-off of a closed bill; by everybody's clock, which rates go by.
    """

    snapshot: RateSnapshot | None
    stale: bool
    frozen: bool
    as_of: datetime


class RatesReader:
    """Keeps the current snapshot for a second and frozen ones for good, as they are immutable."""

    def __init__(self, engine: Engine, settings: Settings):
        self._engine = engine
        self._settings = settings
        self.current = Remembered(self._read, for_s=CURRENT_FOR_S)
        self._frozen: OrderedDict[UUID, RateSnapshot] = OrderedDict()

    def of_bill(self, bill: Bill) -> RatesInUse:
        """A closed bill's own rates, however late it is read; else the current ones."""
        if not bill.is_closed or bill.effective_at is None:
            return self.current()
        snapshot = self._by_id(bill.rate_snapshot_id) if bill.rate_snapshot_id else None
        cut_off = bill.by_everybodys_clock(bill.effective_at)
        stale = snapshot is not None and snapshot.is_stale(cut_off, self._settings.rates_stale_after)
        return RatesInUse(snapshot, stale, frozen=True, as_of=cut_off)

    def _read(self) -> RatesInUse:
        snapshot = stored_rates.current(self._engine, samples=self._settings.sample_rates)
        with single_statement(self._engine) as connection:
            instant = now(connection)
        stale = snapshot is not None and snapshot.is_stale(instant, self._settings.rates_stale_after)
        return RatesInUse(snapshot, stale, frozen=False, as_of=instant)

    def _by_id(self, snapshot_id: UUID) -> RateSnapshot:
        found = self._frozen.get(snapshot_id)
        if found is None:
            found = self._frozen[snapshot_id] = stored_rates.snapshot_by_id(self._engine, snapshot_id)
            while len(self._frozen) > FROZEN_KEPT:
                self._frozen.popitem(last=False)
        return found


# Rates per another base are quotients, for reading; conversions compute with the stored rates.
def per_unit(snapshot: RateSnapshot, code: str, base: str, *, digits: int) -> Decimal | None:
    """Units of a currency per 1 of `base`: as stored, or to so many digits. None without a rate of either."""
    rate, of = snapshot.rates.get(code), snapshot.rates.get(base)
    if rate is None or of is None:
        return None
    return rate if base == snapshot.base else quotient(rate, of, digits=digits)


def quotient(rate: Decimal, of: Decimal, *, digits: int) -> Decimal:
    return Context(prec=digits).divide(rate, of)
