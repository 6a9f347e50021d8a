"""Bills: open, read, list, move their end, close."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from billing import money
from billing.bill import BillStatus
from billing.clock import parse_instant
from billing.errors import InvalidArgument
from billing.ledger.bill_list import BillFilter, Place
from billing.ledger.customers import parse_external_id
from billing.period import Period
from webapp import commands, queries
from webapp.api import cursors, render
from webapp.api.bill_answer import (
    OLDER_ITEMS,
    bill_answer,
    bill_id_in,
    older_items_cursor,
    wanted_currency,
)
from webapp.api.blueprint import api
from webapp.api.body import expected_version, json_object
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, LISTED_BILL, Answer, data, page
from webapp.api.contract.fields import Body
from webapp.api.contract.operation import operation
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters, search
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import bound_customers, origin
from webapp.identity.doorkeeper import refuse_to_open_for
from webapp.identity.scopes import Scope
from webapp.system import System, system

FILTERS = (fields.OF_CUSTOMER, fields.STATUS, fields.HAVING, fields.FROM, fields.TO, fields.SEARCH)
THE_BILL = Answer("The bill as it stands now.", data(BILL))


@api.post("/bills")
@allow(Scope.BILLS_WRITE)
@open_to_bound_keys
@operation(
    "Open a bill",
    body=Body((fields.CUSTOMER_ID, fields.PERIOD_START, fields.PERIOD_END)),
    answers={200: THE_BILL},
    is_idempotent=True,
)
def open_bill() -> Response:
    """For a billing period, half open: [start, end), at most 366 days. At its end the bill closes by itself."""
    parameters()
    body = json_object()
    customer_id = parse_external_id(body.get("customer_id"))
    period = Period.parse(body.get("period_start"), body.get("period_end"))
    refuse_to_open_for(system().engine, customer_id)
    opened = commands.open_bill(system(), origin(idempotency_key()), customer_id, period)
    return bill_answer(system(), opened.bill, replayed=opened.replayed)


@api.get("/bills/<bill_id>")
@allow(Scope.BILLS_READ)
@operation("Read a bill", query=(fields.SHOWN_IN, fields.PAGE_CURSOR), answers={200: THE_BILL})
def show_bill(bill_id: str) -> Response:
    """With its newest 100 line items; the cursor leads to older ones."""
    asked = parameters()
    id_ = bill_id_in(bill_id)
    before = cursors.read(asked.get("cursor"), OLDER_ITEMS, str(id_))
    if before is not None:
        return _with_older_items(system(), id_, before, asked.get("currency"))
    bill = queries.bill(system(), id_)
    return bill_answer(system(), bill, queries.wanted_currency(system(), bill, asked.get("currency")))


def _with_older_items(system: System, bill_id: UUID, before: int, currency: str | None) -> Response:
    bill, items = queries.bill_with_items(system, bill_id, before=before)
    read = queries.read(system, bill, queries.wanted_currency(system, bill, currency))
    cursor = older_items_cursor(bill, items[0].position if items else 1)
    texts = render.array(render.line_item(item) for item in items)
    return render.answer({"data": render.bill(read, texts, cursor)})


@api.get("/bills")
@allow(Scope.BILLS_READ)
@open_to_bound_keys
@operation(
    "List bills",
    query=(*FILTERS, fields.LIMIT, fields.PAGE_CURSOR),
    answers={200: Answer("A page of bills, without their line items.", page(LISTED_BILL))},
)
def list_bills() -> Response:
    """Newest first."""
    asked = parameters()
    wanted, size = filter_in(asked), limit(asked)
    listing = ("bills", *(asked.get(parameter.name) for parameter in FILTERS))
    before = cursors.read(asked.get("cursor"), *listing)
    bills = queries.bills(system(), wanted, limit=size + 1, after=Place(UUID(before)) if before else None)
    shown = bills[:size]
    cursor = cursors.sign(str(shown[-1].id), *listing) if len(bills) > size else None
    texts = (render.bill(queries.read(system(), bill)) for bill in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(cursor)})


def filter_in(asked: dict[str, str]) -> BillFilter:
    return BillFilter(
        customer_id=parse_external_id(asked["customer_id"]) if "customer_id" in asked else None,
        status=status_in(asked["status"]) if "status" in asked else None,
        currency=money.currency(asked["currency"]).code if "currency" in asked else None,
        ends_after=parse_instant(asked["from"], "from") if "from" in asked else None,
        starts_before=parse_instant(asked["to"], "to") if "to" in asked else None,
        text=search(asked),
        among=bound_customers(),
    )


def status_in(text: str) -> BillStatus:
    try:
        return BillStatus(text)
    except ValueError:
        raise InvalidArgument("status must be open, closing or closed", field="status") from None


@api.post("/bills/<bill_id>/period")
@allow(Scope.BILLS_CLOSE)
@operation(
    "Move the end of a bill's period",
    query=(fields.SHOWN_IN,),
    body=Body((fields.PERIOD_END, fields.EXPECTED_VERSION)),
    answers={200: THE_BILL},
    is_idempotent=True,
    refusals=fields.TAKES_NO_CHANGES,
)
def change_period(bill_id: str) -> Response:
    """To an instant in the future, within 366 days of its start, as long as the present end hasn't passed."""
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    body = json_object()
    if body.get("period_end") in (None, ""):
        raise InvalidArgument("period_end is required", reason="required", field="period_end")
    end, seen = parse_instant(body["period_end"], "period_end"), expected_version(body)
    changed = commands.change_period(system(), origin(idempotency_key()), id_, end, expected_version=seen)
    return bill_answer(system(), changed.bill, currency, replayed=changed.replayed)


@api.post("/bills/<bill_id>/close")
@allow(Scope.BILLS_CLOSE)
@operation(
    "Close a bill",
    query=(fields.SHOWN_IN,),
    body=Body((fields.EXPECTED_VERSION,), may_be_empty=True),
    answers={
        200: Answer("The closed bill.", data(BILL)),
        202: Answer("The bill takes no more changes, and will be closed in a moment.", data(BILL)),
    },
    is_idempotent=True,
)
def close_bill(bill_id: str) -> Response:
    """200 with the closed bill; 202 with one that will be: its closing is stored and carried out by itself."""
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    seen = expected_version(json_object())
    closed = commands.close_bill(system(), origin(idempotency_key()), id_, expected_version=seen)
    status = 200 if closed.bill.is_closed else 202
    return bill_answer(system(), closed.bill, currency, status=status, replayed=closed.replayed)
