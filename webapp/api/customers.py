"""Customers, under the caller's own names for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response

from billing.errors import AlreadyExists, CustomerNotFound, InvalidArgument
from billing.ledger.customers import EDITABLE, parse_details, parse_external_id
from webapp import commands, queries
from webapp.api import cursors, render
from webapp.api.blueprint import api
from webapp.api.body import json_object
from webapp.api.contract.answers import CUSTOMER, Answer, data, page
from webapp.api.contract.fields import CUSTOMER_DETAILS, LIMIT, NEW_CUSTOMER_ID, PAGE_CURSOR, SEARCH, Body
from webapp.api.contract.operation import operation
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters, search
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import bound_customers, origin
from webapp.identity.scopes import Scope
from webapp.system import system

THE_CUSTOMER = Answer("The customer.", data(CUSTOMER))


@api.post("/customers")
@allow(Scope.CUSTOMERS_WRITE)
@operation(
    "Register a customer",
    body=Body((NEW_CUSTOMER_ID, *CUSTOMER_DETAILS)),
    answers={200: THE_CUSTOMER},
    is_idempotent=True,
    refusals=(AlreadyExists("a customer with this id exists", field="id"),),
)
def register_customer() -> Response:
    """A bill for an unknown customer registers it too, by its id alone."""
    parameters()
    body = json_object()
    external_id, details = parse_external_id(body.get("id"), "id"), _details_in(body)
    customer, replayed = commands.register_customer(system(), origin(idempotency_key()), external_id, details)
    return render.answer({"data": render.customer(customer)}, replayed=replayed)


def _details_in(body: Mapping[str, Any]) -> dict[str, str]:
    return parse_details({field: body[field] for field in EDITABLE if field in body})


@api.get("/customers")
@allow(Scope.CUSTOMERS_READ)
@open_to_bound_keys
@operation(
    "List customers", query=(SEARCH, LIMIT, PAGE_CURSOR), answers={200: Answer("A page of customers.", page(CUSTOMER))}
)
def list_customers() -> Response:
    """Newest first."""
    asked = parameters()
    size = limit(asked)
    words = search(asked)
    listing = ("customers", words)
    before = cursors.read(asked.get("cursor"), *listing)
    place, among = UUID(before) if before else None, bound_customers()
    customers = queries.customers(system(), text=words, limit=size + 1, before=place, among=among)
    shown = customers[:size]
    cursor = cursors.sign(str(shown[-1].id), *listing) if len(customers) > size else None
    texts = (render.customer(customer) for customer in shown)
    return render.answer({"data": render.array(texts), "next_cursor": render.to_json(cursor)})


@api.get("/customers/<any_text:customer_id>")
@allow(Scope.CUSTOMERS_READ)
@operation("Read a customer", answers={200: THE_CUSTOMER})
def show_customer(customer_id: str) -> Response:
    parameters()
    customer = queries.customer(system(), _known_id(customer_id))
    return render.answer({"data": render.customer(customer)})


@api.patch("/customers/<any_text:customer_id>")
@allow(Scope.CUSTOMERS_WRITE)
@operation("Edit a customer", body=Body(CUSTOMER_DETAILS), answers={200: THE_CUSTOMER})
def edit_customer(customer_id: str) -> Response:
    """Changes the fields that are given; closed bills keep what they were closed with."""
    parameters()
    details = _details_in(json_object())
    customer = commands.edit_customer(system(), origin(), _known_id(customer_id), details)
    return render.answer({"data": render.customer(customer)})


def _known_id(text: str) -> str:
    """A name that nobody could have can't be found either."""
    try:
        return parse_external_id(text)
    except InvalidArgument:
        raise CustomerNotFound from None
