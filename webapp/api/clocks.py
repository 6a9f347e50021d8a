"""Clocks of test bills, which can be advanced."""

from __future__ import annotations

from flask import Response

from billing.clock import parse_instant
from billing.errors import BillClosed, BillClosing, InvalidArgument, LiveBill
from webapp import commands
from webapp.api.bill_answer import bill_answer, bill_id_in, wanted_currency
from webapp.api.blueprint import api
from webapp.api.body import json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, Answer, data
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import operation
from webapp.api.negotiation import idempotency_key
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import system


@api.post("/bills/<bill_id>/clock")
@allow(Scope.BILLS_CLOSE)
@operation(
    "Advance a test bill's clock",
    query=(fields.SHOWN_IN,),
    body=Body((fields.CLOCK_NOW,)),
    answers={
        200: Answer("The bill, closed if its end has come.", data(BILL)),
        202: Answer("Its end has come: it takes no more changes, and will be closed in a moment.", data(BILL)),
    },
    is_idempotent=True,
    refusals=(LiveBill, BillClosed, BillClosing),
)
def advance_clock(bill_id: str) -> Response:
    """From then on it is that instant for this bill, and goes on from there. Of test bills only, forward only, a day
    past `period_end` at most. A bill whose end that brings closes as it would have then, with the rates of now."""
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    body = json_object()
    if body.get("now") in (None, ""):
        raise InvalidArgument("now is required", reason="required", field="now")
    to = parse_instant(body["now"], "now")
    advanced = commands.advance_clock(system(), origin(idempotency_key()), id_, to)
    bill = advanced.bill
    status = 202 if not bill.is_closed and to >= bill.period.end else 200
    return bill_answer(system(), bill, currency, status=status, replayed=advanced.replayed)
