"""Currencies that are offered for new line items, within those that the configuration allows."""

from __future__ import annotations

from flask import Response

from billing.errors import InvalidArgument
from webapp import offered
from webapp.api import render
from webapp.api.blueprint import api
from webapp.api.body import expected_version, json_object
from webapp.api.parameters import parameters
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import system


@api.get("/currencies")
@allow(Scope.RATES_READ)
@open_to_bound_keys
def show_currencies() -> Response:
    parameters()
    return _answer()


@api.patch("/currencies")
@allow(Scope.RATES_WRITE)
def offer_currencies() -> Response:
    """`offered` names all that are offered from now on; currencies that are on a bill stay readable."""
    parameters()
    body = json_object(("offered", "expected_version"))
    codes = body.get("offered")
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise InvalidArgument("offered must be a list of currency codes", field="offered")
    version = expected_version(body, lowest=0)
    offered.offer(system(), origin(), codes, expected_version=version)
    return _answer()


def _answer() -> Response:
    offer = offered.current(system())
    value = {"offered": list(offer.codes), "configured": list(offer.configured), "version": offer.version}
    return render.answer({"data": render.to_json(value)})
