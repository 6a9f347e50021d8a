"""The rates in use."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from billing import money
from billing.clock import rfc3339
from billing.deliveries import Quarantined
from billing.errors import RateSnapshotNotFound, UnsupportedCurrency
from billing.identifiers import parse_id
from billing.rates import BASE, RATE_MISSING, RateSnapshot
from webapp import commands, queries
from webapp.api import render
from webapp.api.blueprint import api
from webapp.api.contract import answers, fields
from webapp.api.contract.answers import Answer, data
from webapp.api.contract.operation import operation
from webapp.api.parameters import parameters
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.rates import RatesInUse, per_unit
from webapp.system import system

# Of rates per another base than the provider's.
DIGITS = 12


@api.get("/rates")
@allow(Scope.RATES_READ)
@open_to_bound_keys
@operation("Read the rates in use", query=(fields.BASE,), answers={200: Answer("The rates.", data(answers.RATES))})
def show_rates() -> Response:
    """With their age, and those that await an admin's decision."""
    asked = parameters()
    base = asked.get("base", BASE)
    rates = queries.current_rates(system())
    _refuse_unknown_base(base, rates.snapshot)
    value = {**render.rates_in_use(rates), **_figures(rates, base)}
    pending = queries.quarantined_rates(system())
    if pending is not None:
        value["quarantined"] = _quarantined(pending)
    return render.answer({"data": render.to_json(value)})


def _refuse_unknown_base(base: str, snapshot: RateSnapshot | None) -> None:
    known = snapshot is not None and base in snapshot.rates
    if not known and base not in system().supported_currencies and base != BASE:
        raise UnsupportedCurrency(field="base")


def _figures(rates: RatesInUse, base: str) -> dict[str, Any]:
    """Units of each currency per 1 of the base; none when there is no rate of the base."""
    snapshot = rates.snapshot
    if snapshot is None or base not in snapshot.rates:
        return {"base": base, "rates": {}, "reason": RATE_MISSING}
    figures = ((code, per_unit(snapshot, code, base, digits=DIGITS)) for code in sorted(snapshot.rates))
    per_base = {code: money.plain(figure) for code, figure in figures if figure is not None}
    age_s = int(snapshot.age(rates.as_of).total_seconds())
    return {"base": base, "age_seconds": age_s, "rates": per_base}


def _quarantined(pending: Quarantined) -> dict[str, Any]:
    moves = [
        {"currency": move.currency, "before": money.plain(move.before), "after": money.plain(move.after)}
        for move in pending.moves
    ]
    return {
        "snapshot_id": str(pending.snapshot.id),
        "updated_at": rfc3339(pending.snapshot.provider_time),
        "fetched_at": rfc3339(pending.snapshot.fetched_at),
        "agreeing_fetches": pending.agreeing_fetches,
        "moves": moves,
    }


@api.post("/rates/<snapshot_id>/accept")
@allow(Scope.RATES_WRITE)
@operation("Accept rates in quarantine", answers={200: Answer("They are in use.", data(answers.ACCEPTED_RATES))})
def accept_rates(snapshot_id: str) -> Response:
    """An admin's word that rates in quarantine are right."""
    parameters()
    id_: UUID = parse_id(snapshot_id, RateSnapshotNotFound)
    accepted = commands.accept_rates(system(), origin(), id_)
    return render.answer({"data": render.to_json({"snapshot_id": str(accepted.id), "state": "accepted"})})
