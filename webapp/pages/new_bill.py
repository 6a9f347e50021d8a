"""Opening a bill: for a customer known or new, for a period in somebody's own time zone, like an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flask import flash, make_response, request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.calendar_periods import following, offered_zones, zone_named
from billing.errors import AlreadyExists, BillingError, CustomerNotFound, InvalidArgument
from billing.ledger.customers import parse_details, parse_external_id
from billing.period import Period
from webapp import commands, queries, recurring
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.customer_picker import picked
from webapp.pages.forms import REFUSALS, Form, sentence
from webapp.pages.ids import parse_bill_id
from webapp.pages.period_choice import (
    CUSTOM,
    PRESETS,
    UTC_ZONE,
    PeriodChoice,
    chosen_period,
    remember_zone,
    remembered_zone,
)
from webapp.pages.rendering import render, see_other
from webapp.system import system

DETAILS = ("name", "email", "billing_address")
UNKNOWN = InvalidArgument("nobody is known by this id; mend it, or register a new customer below", field="customer_id")


@pages.get("/bills/new")
@allow(Role.OPERATOR)
def new_bill() -> ResponseReturnValue:
    """`from`, or the first bill chosen in the list, is the one to make another like."""
    earlier = request.args.get("from") or request.args.get("bill")
    zone = remembered_zone()
    values = {"customer_id": request.args.get("customer", ""), "zone": zone or UTC_ZONE, "preset": "this_month"}
    source = queries.bill(system(), parse_bill_id(earlier)) if earlier else None
    if source is not None:
        values |= _like(source, zone or UTC_ZONE)
    form = Form({**values, **_local_times(values)})
    return _page(form, source=source, guesses_zone=zone is None and source is None)


@pages.get("/bills/new/period")
@allow(Role.OPERATOR)
def show_new_period() -> ResponseReturnValue:
    """The exact instants of the period as it is chosen just now."""
    return render("bills/_new_period.html", **_instants(Form(request.args)))


@pages.post("/bills")
@allow(Role.OPERATOR)
def open_bill() -> ResponseReturnValue:
    form, lines = Form.submitted(), request.form.getlist("line")
    source = queries.bill(system(), parse_bill_id(form["from"])) if form["from"] else None
    mistakes = [refusal for check in (_newcomer, _choice) if (refusal := _refused_by(check, form))]
    if mistakes:
        return _page(_with_all(form, mistakes), source=source, chosen=lines)
    try:
        entries = recurring.entries(system(), source, lines, form.key)
        choice = _choice(form)
        customer_id = _customer(form, choice.period)
        written = commands.open_bill(system(), origin(form.key), customer_id, choice.period)
        copied = recurring.copy(system(), origin(form.key), written.bill, entries)
    except REFUSALS as refusal:
        return _page(form.refused(_placed(refusal, form)), source=source, chosen=lines)
    if entries:
        flash(_copied(copied, len(entries)))
    answer = make_response(see_other(url_for("pages.show_bill", bill_id=written.bill.id)))
    return remember_zone(answer, choice.zone.key)


def _copied(count: int, wanted: int) -> str:
    sentence = f"Opened with {count} {'line' if count == 1 else 'lines'} of the earlier bill."
    return sentence if count == wanted else f"{sentence} It took no more: add the others by hand."


def _refused_by(check: Callable[[Form], object], form: Form) -> BillingError | None:
    try:
        check(form)
    except InvalidArgument as refusal:
        return refusal
    return None


def _with_all(form: Form, mistakes: Sequence[BillingError]) -> Form:
    """Whatever can't be right is said at once, each beside its field."""
    refused = [form.refused(_placed(mistake, form)) for mistake in mistakes]
    return replace(refused[0], errors={place: text for each in refused for place, text in each.errors.items()})


def _choice(form: Form) -> PeriodChoice:
    return chosen_period(form.values, _now())


def _customer(form: Form, period: Period) -> str:
    """The customer's id; somebody new is registered first, unless the period couldn't be opened now."""
    external_id, details = _newcomer(form)
    try:
        if details is not None:
            period.may_begin(_now())
            commands.register_customer(system(), origin(form.key), external_id, details)
    except AlreadyExists as refusal:
        # Somebody else has registered them just now; another use of the key is no such case.
        if refusal.field != "id":
            raise
    return external_id


def _newcomer(form: Form) -> tuple[str, Mapping[str, str] | None]:
    """The customer's id, and the details of one who is new: None for one who is known."""
    external_id = parse_external_id(form["customer_id"].strip())
    try:
        return queries.customer(system(), external_id).external_id, None
    except CustomerNotFound:
        if form["register"] != "yes":
            raise UNKNOWN from None
    return external_id, parse_details({field: form[field].strip() for field in DETAILS})


def _placed(refusal: BillingError, form: Form) -> BillingError:
    """Periods that were not typed have no fields to be wrong in."""
    if refusal.field in ("period_start", "period_end") and form["preset"] != CUSTOM:
        refusal.field = "preset"
    return refusal


def _page(
    form: Form, *, source: Bill | None, chosen: Sequence[str] = (), guesses_zone: bool = False
) -> ResponseReturnValue:
    return render(
        "bills/new.html",
        status=form.status,
        form=form,
        picked=picked(system(), form.values),
        presets=PRESETS,
        zones=offered_zones(),
        guesses_zone=guesses_zone,
        source=source,
        charged=recurring.lines_of(system(), source) if source is not None else None,
        chosen=chosen,
        **_instants(form),
    )


def _instants(form: Form) -> dict[str, object]:
    """The period as chosen, or the sentence that says why there is none."""
    try:
        choice = _choice(form)
        choice.period.may_begin(_now())
    except InvalidArgument as refusal:
        return {"choice": None, "refusal": sentence(refusal)}
    return {"choice": choice, "refusal": None}


def _like(source: Bill, zone: str) -> dict[str, str]:
    """The same customer, and the period that follows."""
    period = following(source.period, zone_named(zone), _now())
    times = {"period_start": _local(period.start, zone), "period_end": _local(period.end, zone)}
    return {"customer_id": source.customer.external_id, "preset": CUSTOM, "from": str(source.id), **times}


def _local_times(values: dict[str, str]) -> dict[str, str]:
    """What a custom period begins with: the one that is chosen otherwise."""
    if values["preset"] == CUSTOM:
        return {}
    period = chosen_period(values, _now()).period
    return {"period_start": _local(period.start, values["zone"]), "period_end": _local(period.end, values["zone"])}


def _local(instant: datetime, zone: str) -> str:
    """As <input type=datetime-local> takes it."""
    local = instant.astimezone(zone_named(zone)).replace(tzinfo=None)
    return local.isoformat(timespec="auto" if local.microsecond else "seconds" if local.second else "minutes")


def _now() -> datetime:
    return queries.current_rates(system()).as_of
