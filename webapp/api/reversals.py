"""Reversals: an item is taken back by another that says why."""

from __future__ import annotations

from flask import Response

from billing.bill import LONGEST_REASON
from billing.errors import AlreadyReversed, LineItemNotFound, NotReversible
from billing.identifiers import parse_id
from billing.text import parse_text
from webapp import commands
from webapp.api import render
from webapp.api.bill_answer import bill_answer, bill_id_in, wanted_currency
from webapp.api.blueprint import api
from webapp.api.body import json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, LINE_ITEM, Answer, data
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import operation
from webapp.api.negotiation import idempotency_key
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import system


@api.post("/bills/<bill_id>/line-items/<item_id>/reversal")
@allow(Scope.ITEMS_WRITE)
@operation(
    "Take a line item back",
    query=(fields.SHOWN_IN,),
    body=Body((fields.REASON,)),
    answers={200: Answer("The bill, and the reversing item.", data(BILL, line_item=LINE_ITEM))},
    is_idempotent=True,
    refusals=(*fields.TAKES_NO_CHANGES, AlreadyReversed, NotReversible),
)
def reverse_line_item(bill_id: str, item_id: str) -> Response:
    """Adds an item that negates it, while the bill is open. What was added stays visible."""
    id_, item = bill_id_in(bill_id), parse_id(item_id, LineItemNotFound)
    currency = wanted_currency(system(), id_)
    reason = parse_text(json_object().get("reason"), "reason", longest=LONGEST_REASON)
    bill, reversing, replayed = commands.reverse_line_item(system(), origin(idempotency_key()), id_, item, reason)
    beside = {"line_item": render.line_item(reversing)}
    return bill_answer(system(), bill, currency, known=[reversing], beside=beside, replayed=replayed)
