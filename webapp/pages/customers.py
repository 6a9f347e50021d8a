"""Customers: all of them, one with its bills, a new one, an edited one."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Customer
from billing.errors import AlreadyExists, CustomerNotFound
from billing.identifiers import parse_id
from billing.ledger.customers import parse_details, parse_external_id
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages import bill_list
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.system import system

CUSTOMERS_A_PAGE = 50
DETAILS = ("name", "email", "billing_address")
TAKEN = AlreadyExists("a customer with this id exists", field="customer_id")


@pages.get("/customers")
@allow(Role.VIEWER)
def list_customers() -> ResponseReturnValue:
    words = request.args.get("q", "").strip().replace("\0", "")[:255]
    before = parse_id(request.args["before"], CustomerNotFound) if request.args.get("before") else None
    found = queries.customers(system(), text=words, limit=CUSTOMERS_A_PAGE + 1, before=before)
    customers = found[:CUSTOMERS_A_PAGE]
    older = customers[-1].id if len(found) > CUSTOMERS_A_PAGE else None
    template = "customers/_list.html" if wants_fragment() else "customers/index.html"
    response = render(template, customers=customers, words=words, older=older)
    response.headers["HX-Replace-Url"] = url_for("pages.list_customers", q=words or None)
    return response


@pages.get("/customers/new")
@allow(Role.OPERATOR)
def new_customer() -> ResponseReturnValue:
    return _new_customer_page(Form())


@pages.post("/customers")
@allow(Role.OPERATOR)
def register_customer() -> ResponseReturnValue:
    form = Form.submitted()
    try:
        external_id = parse_external_id(form["customer_id"].strip())
        customer, _ = commands.register_customer(system(), origin(form.key), external_id, _details(form))
    except REFUSALS as refusal:
        return _new_customer_page(form.refused(TAKEN if refusal.field == "id" else refusal))
    return see_other(url_for("pages.show_customer", customer_id=customer.id))


def _new_customer_page(form: Form) -> ResponseReturnValue:
    return render("customers/new.html", status=form.status, form=form)


@pages.get("/customers/<customer_id>")
@allow(Role.VIEWER)
def show_customer(customer_id: str) -> ResponseReturnValue:
    customer = _customer(customer_id)
    listed = bill_list.read(system(), {**request.args, "customer": customer.external_id})
    return render("customers/show.html", customer=customer, listed=listed)


@pages.get("/customers/<customer_id>/edit")
@allow(Role.OPERATOR)
def edit_customer(customer_id: str) -> ResponseReturnValue:
    customer = _customer(customer_id)
    return _edit_page(customer, Form({field: getattr(customer, field) for field in DETAILS}))


@pages.post("/customers/<customer_id>")
@allow(Role.OPERATOR)
def save_customer(customer_id: str) -> ResponseReturnValue:
    customer, form = _customer(customer_id), Form.submitted()
    try:
        commands.edit_customer(system(), origin(form.key), customer.external_id, _details(form))
    except REFUSALS as refusal:
        return _edit_page(customer, form.refused(refusal))
    flash("Saved. Bills that are closed keep the details they were closed with.")
    return see_other(url_for("pages.show_customer", customer_id=customer_id))


def _edit_page(customer: Customer, form: Form) -> ResponseReturnValue:
    return render("customers/edit.html", status=form.status, customer=customer, form=form)


def _details(form: Form) -> Mapping[str, str]:
    return parse_details({field: form[field].strip() for field in DETAILS})


def _customer(customer_id: str) -> Customer:
    found: UUID = parse_id(customer_id, CustomerNotFound)
    return queries.customer_by_id(system(), found)
