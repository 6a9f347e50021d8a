"""Line items: add one, with or without waiting, and list them."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from billing.bill import LineItemDraft
from billing.identifiers import parse_id
from billing.ledger.requests import LineItemRequestNotFound
from webapp import commands, queries
from webapp.api import cursors, render
from webapp.api.bill_answer import bill_answer, bill_id_in, wanted_currency
from webapp.api.blueprint import PATH, api
from webapp.api.body import json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, LINE_ITEM, LINE_ITEM_REQUEST, Answer, data, page
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import text
from webapp.api.negotiation import idempotency_key, prefers_async
from webapp.api.parameters import limit, parameters
from webapp.drafts import parse_draft
from webapp.identity.access import allow, confirm, confirmed_by_the_ledger, only_of_account
from webapp.identity.caller import origin
from webapp.identity.scopes import Scope
from webapp.system import System, system

STORED = Answer(
    "The item is stored, and will be added or rejected: ask for it at `Location`.",
    data(LINE_ITEM_REQUEST),
    headers={"Location": text("Where the outcome will be."), "Preference-Applied": text()},
)


@api.post("/bills/<bill_id>/line-items")
@allow(Scope.ITEMS_WRITE)
@confirmed_by_the_ledger
@operation(
    "Add a line item",
    query=(fields.SHOWN_IN,),
    body=Body(fields.LINE_ITEM),
    answers={200: Answer("The bill, and the item.", data(BILL, line_item=LINE_ITEM)), 202: STORED},
    is_idempotent=True,
    may_respond_async=True,
    refusals=fields.TAKES_NO_CHANGES,
)
def add_line_item(bill_id: str) -> Response:
    """200 with the bill and the item; 202 when the caller prefers not to wait for the outcome."""
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    draft = parse_draft(json_object(), offered=system().configured_currencies)
    if prefers_async():
        confirm()
        return _request_line_item(system(), id_, draft)
    added = commands.add_line_item(system(), origin(idempotency_key()), id_, draft)
    beside = {"line_item": render.line_item(added.item)}
    return bill_answer(system(), added.bill, currency, known=added.beside, beside=beside, replayed=added.replayed)


def _request_line_item(system: System, bill_id: UUID, draft: LineItemDraft) -> Response:
    stored = commands.request_line_item(system, origin(idempotency_key()), bill_id, draft)
    response = render.answer({"data": render.line_item_request(stored)}, status=202, replayed=stored.replayed)
    response.headers["Location"] = f"{PATH}/bills/{bill_id}/line-item-requests/{stored.id}"
    response.headers["Preference-Applied"] = "respond-async"
    return response


@api.get("/bills/<bill_id>/line-item-requests/<request_id>")
@allow(Scope.BILLS_READ, its_own=Scope.ITEMS_WRITE)
@operation("Read what became of an item asked for", answers={200: Answer("Its state.", data(LINE_ITEM_REQUEST))})
def show_line_item_request(bill_id: str, request_id: str) -> Response:
    """Of one that was added with `Prefer: respond-async`."""
    parameters()
    id_, wanted = bill_id_in(bill_id), parse_id(request_id, LineItemRequestNotFound)
    stored = queries.line_item_request(system(), id_, wanted, of_account=only_of_account())
    return render.answer({"data": render.line_item_request(stored)})


@api.get("/bills/<bill_id>/line-items")
@allow(Scope.BILLS_READ)
@operation(
    "List a bill's line items",
    query=(fields.LIMIT, fields.PAGE_CURSOR),
    answers={200: Answer("A page of line items.", page(LINE_ITEM))},
)
def list_line_items(bill_id: str) -> Response:
    """Oldest first."""
    asked = parameters()
    id_, size = bill_id_in(bill_id), limit(asked)
    listing = ("line-items", str(id_))
    after = cursors.read(asked.get("cursor"), *listing) or 0
    items = queries.line_items(system(), id_, after=after, limit=size + 1)
    shown = items[:size]
    cursor = cursors.sign(shown[-1].position, *listing) if len(items) > size else None
    texts = (render.line_item(item) for item in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(cursor)})
