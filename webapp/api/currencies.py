"""Currencies that are offered for new line items, within those that the configuration allows."""

from __future__ import annotations

from flask import Response

from billing.errors import InvalidArgument
from webapp import offered
from webapp.api import render
from webapp.api.blueprint import api
from webapp.api.body import expected_version, json_object
from webapp.api.contract.answers import CURRENCIES, Answer, data
from webapp.api.contract.fields import OFFERED, SETTINGS_VERSION, Body
from webapp.api.contract.operation import operation
from webapp.api.parameters import parameters
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import system

THE_CURRENCIES = Answer("The currencies.", data(CURRENCIES))


@api.get("/currencies")
@allow(Scope.RATES_READ)
@open_to_bound_keys
@operation("List the currencies", answers={200: THE_CURRENCIES})
def show_currencies() -> Response:
    """Those offered for new line items, and all that could be."""
    parameters()
    return _answer()


@api.patch("/currencies")
@allow(Scope.RATES_WRITE)
@operation("Choose the currencies offered", body=Body((OFFERED, SETTINGS_VERSION)), answers={200: THE_CURRENCIES})
def offer_currencies() -> Response:
    """`offered` names all that are offered from now on; currencies that are on a bill stay readable."""
    parameters()
    body = json_object()
    codes = body.get("offered")
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise InvalidArgument("offered must be a list of currency codes", field="offered")
    version = expected_version(body)
    offered.offer(system(), origin(), codes, expected_version=version)
    return _answer()


def _answer() -> Response:
    offer = offered.current(system())
    value = {"offered": list(offer.codes), "configured": list(offer.configured), "version": offer.version}
    return render.answer({"data": render.to_json(value)})
