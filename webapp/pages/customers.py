"""Customers: all of them, one with its bills, a new one, an edited one."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Customer
from billing.errors import AlreadyExists, CustomerNotFound, VersionConflict
from billing.identifiers import parse_id
from billing.ledger.customer_reads import customer_with_bills
from billing.ledger.customers import parse_details, parse_external_id
from billing.ledger.events import latest_of_subject
from webapp import commands, queries
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.system import system

CUSTOMERS_A_PAGE = 50
BILLS_SHOWN = 10
EVENTS_SHOWN = 5
LONGEST_SEARCH = 255
DETAILS = ("name", "email", "billing_address")
TAKEN = AlreadyExists("a customer with this id exists", field="customer_id")
CHANGED = VersionConflict(
    "somebody else changed this customer meanwhile; what is stored now stands below each field. "
    "Save again to replace it"
)


@pages.get("/customers")
@allow(Role.VIEWER)
def list_customers() -> ResponseReturnValue:
    words = request.args.get("q", "").strip().replace("\0", "")[:LONGEST_SEARCH]
    before = parse_id(request.args["before"], CustomerNotFound) if request.args.get("before") else None
    found = queries.customers(system(), text=words, limit=CUSTOMERS_A_PAGE + 1, before=before)
    customers = found[:CUSTOMERS_A_PAGE]
    older = customers[-1].id if len(found) > CUSTOMERS_A_PAGE else None
    template = "customers/_list.html" if wants_fragment() else "customers/index.html"
    response = render(template, customers=customers, words=words, older=older, is_continued=before is not None)
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
    id_: UUID = parse_id(customer_id, CustomerNotFound)
    return render(
        "customers/show.html",
        shown=customer_with_bills(system().engine, id_, bills=BILLS_SHOWN),
        events=latest_of_subject(system().engine, id_, before_version=None, limit=EVENTS_SHOWN),
    )


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
        commands.edit_customer(
            system(),
            origin(form.key),
            customer.external_id,
            _details(form),
            expected_version=position(form.values, "version"),
        )
    except VersionConflict:
        return _edit_page(customer, form.refused(CHANGED), theirs=_theirs(customer, form))
    except REFUSALS as refusal:
        return _edit_page(customer, form.refused(refusal), version=form["version"])
    flash("Saved. Bills that are closed keep the details they were closed with.")
    return see_other(url_for("pages.show_customer", customer_id=customer_id))


def _theirs(customer: Customer, form: Form) -> Mapping[str, str]:
    """What is stored where it isn't what was typed."""
    stored = {field: getattr(customer, field) for field in DETAILS}
    return {field: value for field, value in stored.items() if value != form[field].strip()}


def _edit_page(
    customer: Customer, form: Form, *, theirs: Mapping[str, str] | None = None, version: str = ""
) -> ResponseReturnValue:
    """`version` is the one that the form's values replace: the stored one, unless the form has another already."""
    return render(
        "customers/edit.html",
        status=form.status,
        customer=customer,
        form=form,
        theirs=theirs or {},
        version=version or customer.version,
    )


def _details(form: Form) -> Mapping[str, str]:
    return parse_details({field: form[field].strip() for field in DETAILS})


def _customer(customer_id: str) -> Customer:
    return queries.customer_by_id(system(), parse_id(customer_id, CustomerNotFound))
