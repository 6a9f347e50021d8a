"""The list of bills, a new one, and the page of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from billing.errors import BillNotFound
from billing.identifiers import parse_id
from billing.ledger.customers import parse_external_id
from billing.period import Period
from webapp import commands, queries
from webapp.formatting import input_instant
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages import bill_list
from webapp.pages.bill_page import bill_page
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.inputs import position, rfc3339_of
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.pages.shown import shown_totals
from webapp.system import system

CUSTOMERS_SUGGESTED = 100


@pages.get("/")
@allow(Role.VIEWER)
def home() -> ResponseReturnValue:
    return see_other(url_for("pages.list_bills"))


@pages.get("/bills")
@allow(Role.VIEWER)
def list_bills() -> ResponseReturnValue:
    listed = bill_list.read(system(), request.args)
    if not wants_fragment():
        return render("bills/index.html", status=listed.form.status, listed=listed)
    response = render("bills/_list.html", status=listed.form.status, listed=listed)
    response.headers["HX-Replace-Url"] = listed.address
    return response


@pages.get("/bills/new")
@allow(Role.OPERATOR)
def new_bill() -> ResponseReturnValue:
    start, end = _this_month(queries.current_rates(system()).as_of)
    usual = {"period_start": input_instant(start), "period_end": input_instant(end)}
    return _new_bill_page(Form({"customer_id": request.args.get("customer", ""), **usual}))


@pages.post("/bills")
@allow(Role.OPERATOR)
def open_bill() -> ResponseReturnValue:
    form = Form.submitted()
    try:
        customer_id = parse_external_id(form["customer_id"].strip())
        start, end = (rfc3339_of(form[field], field) for field in ("period_start", "period_end"))
        written = commands.open_bill(system(), origin(form.key), customer_id, Period.parse(start, end))
    except REFUSALS as refusal:
        return _new_bill_page(form.refused(refusal))
    return see_other(url_for("pages.show_bill", bill_id=written.bill.id))


def _new_bill_page(form: Form) -> ResponseReturnValue:
    customers = queries.customers(system(), limit=CUSTOMERS_SUGGESTED)
    now = queries.current_rates(system()).as_of
    return render("bills/new.html", status=form.status, form=form, customers=customers, now=now)


def _this_month(now: datetime) -> tuple[datetime, datetime]:
    """The period that most bills have."""
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=31)).replace(day=1)


@pages.get("/bills/<bill_id>")
@allow(Role.VIEWER)
def show_bill(bill_id: str) -> ResponseReturnValue:
    return bill_page(
        parse_bill_id(bill_id),
        currency=request.args.get("currency"),
        before=position(request.args, "before"),
        added=position(request.args, "added"),
    )


@pages.get("/bills/<bill_id>/totals")
@allow(Role.VIEWER)
def show_totals(bill_id: str) -> ResponseReturnValue:
    """The totals in another currency, on the page that is open; without script, the page itself."""
    currency = request.args.get("currency")
    address = url_for("pages.show_bill", bill_id=bill_id, currency=currency)
    if not wants_fragment():
        return see_other(address)
    bill = queries.bill(system(), parse_bill_id(bill_id))
    response = render("bills/_totals.html", totals=shown_totals(system(), bill, currency))
    response.headers["HX-Replace-Url"] = address
    return response


def parse_bill_id(text: str) -> UUID:
    return parse_id(text, BillNotFound)
