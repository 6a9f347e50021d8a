"""Customers, under the caller's own names for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response

from billing.errors import CustomerNotFound, InvalidArgument
from billing.ledger.customers import EDITABLE, parse_details, parse_external_id
from webapp import commands, queries
from webapp.api import cursors, render
from webapp.api.blueprint import api
from webapp.api.body import json_object
from webapp.api.negotiation import idempotency_key
from webapp.api.parameters import limit, parameters, search
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import bound_customers, origin
from webapp.identity.scopes import Scope
from webapp.system import system


@api.post("/customers")
@allow(Scope.CUSTOMERS_WRITE)
def register_customer() -> Response:
    parameters()
    body = json_object(("id", *EDITABLE))
    external_id, details = parse_external_id(body.get("id"), "id"), _details_in(body)
    customer, replayed = commands.register_customer(system(), origin(idempotency_key()), external_id, details)
    return render.answer({"data": render.customer(customer)}, replayed=replayed)


def _details_in(body: Mapping[str, Any]) -> dict[str, str]:
    return parse_details({field: body[field] for field in EDITABLE if field in body})


@api.get("/customers")
@allow(Scope.CUSTOMERS_READ)
@open_to_bound_keys
def list_customers() -> Response:
    asked = parameters("q", "limit", "cursor")
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
def show_customer(customer_id: str) -> Response:
    parameters()
    customer = queries.customer(system(), _known_id(customer_id))
    return render.answer({"data": render.customer(customer)})


@api.patch("/customers/<any_text:customer_id>")
@allow(Scope.CUSTOMERS_WRITE)
def edit_customer(customer_id: str) -> Response:
    """Changes the fields that are given; closed bills keep what they were closed with."""
    parameters()
    details = _details_in(json_object(EDITABLE))
    customer = commands.edit_customer(system(), origin(), _known_id(customer_id), details)
    return render.answer({"data": render.customer(customer)})


def _known_id(text: str) -> str:
    """A name that nobody could have can't be found either."""
    try:
        return parse_external_id(text)
    except InvalidArgument:
        raise CustomerNotFound from None
