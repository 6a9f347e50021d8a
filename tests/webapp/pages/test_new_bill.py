"""Opening a bill: its customer, its period, its likeness to an earlier one."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from billing.errors import CustomerNotFound
from billing.ledger import bill_list, bills, closing, customers, line_items, reads
from billing.ledger.bill_list import BillFilter
from billing.origin import by_the_system
from billing.period import Period
from tests.support.ledger import keyed
from webapp import recurring

NEXT_YEAR = datetime.now(UTC).year + 1
TOMORROW = datetime.now(UTC) + timedelta(days=1)
CUSTOM = {
    "preset": "custom",
    "period_start": f"{datetime.now(UTC):%Y-%m-%dT%H:%M}",
    "period_end": f"{TOMORROW:%Y-%m-%dT%H:%M}",
}

OVER = {
    "period_start": f"{TOMORROW - timedelta(days=9):%Y-%m-%dT%H:%M}",
    "period_end": f"{TOMORROW - timedelta(days=8):%Y-%m-%dT%H:%M}",
}


def last_sunday(year, month):
    """When clocks change in Europe, by the months of March and October: both have 31 days."""
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


@pytest.fixture
def acme(engine, origin):
    """A customer that is known; its id."""
    id_ = f"acme-{uuid4().hex[:12]}"
    customers.register(engine, keyed(origin), id_, {"name": f"Acme {id_[5:]} Ltd", "email": "ap@acme.example"})
    return id_


def bills_of(engine, customer):
    return bill_list.bills(engine, BillFilter(customer_id=customer), limit=9)


def submit(operator, *, address="/bills/new", status=None, **typed):
    """As a browser without script: a preset is one of several buttons, so it is given by name."""
    form = operator.open(address).form("/bills")
    form.pop("register", None)
    return operator.send("/bills", {**form, "preset": "this_month", **typed}, status=status)


@pytest.mark.usefixtures("one_day")
def test_a_bill_is_opened_for_a_known_customer_and_this_month(operator, acme, engine):
    submit(operator, customer_id=f" {acme} ", status=303)
    (bill,) = bills_of(engine, acme)
    assert operator.went_to == f"/bills/{bill.id}"
    now = datetime.now(UTC)
    assert bill.period.start == now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert bill.period.contains(now)


def test_somebody_new_is_registered_with_the_bill_once_that_is_said(operator, engine):
    page = submit(operator, customer_id="brand-new", status=400)
    assert "Nobody is known by this id" in page.id("field-customer_id-error").text
    assert not bills_of(engine, "brand-new")
    form = page.form("/bills")
    assert form["register"] == "yes"
    values = {"name": "Brand New Ltd", "email": "ap@new.example", "billing_address": "1 High St\nTown"}
    operator.send("/bills", {**form, "preset": "this_month", **values}, status=303)
    (bill,) = bills_of(engine, "brand-new")
    customer = reads.customer(engine, "brand-new")
    assert (bill.customer.name, customer.email, customer.billing_address) == tuple(values.values())


def test_a_mistake_in_a_new_customers_details_opens_and_registers_nothing(operator, engine):
    page = submit(operator, customer_id="typo", register="yes", name="Typo", email="nowhere", status=400)
    assert page.id("field-email-error").text == "E-mail must be an e-mail address."
    assert page.form("/bills")["name"] == "Typo"
    assert "checked" in page.all("input", name="register")[0].attributes
    assert not bills_of(engine, "typo")


def test_nobody_is_registered_for_a_period_that_is_over(operator, engine):
    over = {**CUSTOM, **OVER}
    page = submit(operator, customer_id="too-late", register="yes", **over, status=400)
    assert page.id("field-period_end-error").text == "Period end must be in the future."
    with pytest.raises(CustomerNotFound):
        reads.customer(engine, "too-late")


def test_one_who_was_registered_meanwhile_is_simply_known(operator, acme, engine):
    submit(operator, customer_id=acme, register="yes", name="Other", email="", billing_address="", status=303)
    assert reads.customer(engine, acme).name.startswith("Acme")


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"customer_id": " "}, "customer_id", "Customer is required."),
        ({**CUSTOM, "period_start": ""}, "period_start", "Period start is required."),
        ({**CUSTOM, "period_end": "2020-01-01T00:00"}, "period_end", "Period end must be after period start."),
        (
            {**CUSTOM, "period_end": "soon"},
            "period_end",
            "Period end must be a date and a time, such as 2026-12-01 00:00.",
        ),
        ({**CUSTOM, "period_end": "2040-01-01T00:00"}, "period_end", "The period cannot be longer than 366 days."),
        (
            {**CUSTOM, **OVER},
            "period_end",
            "Period end must be in the future.",
        ),
        ({"zone": "Europe/Atlantis"}, "zone", "Zone must be a time zone such as Europe/Berlin."),
        ({"preset": "last_month"}, "preset", "No such period."),
        (
            {**CUSTOM, "zone": "Europe/Berlin", "period_start": "2026-03-29T02:30"},
            "period_start",
            "Period start does not exist in Europe/Berlin: clocks are put forward that day and skip it.",
        ),
    ],
)
def test_a_mistake_stands_beside_its_field_and_everything_typed_is_kept(operator, acme, typed, field, sentence):
    typed = {"customer_id": acme, **typed}
    page = submit(operator, **typed, status=400)
    assert page.id(f"field-{field}-error").text == sentence
    if field in ("customer_id", "period_start", "period_end"):
        assert page.id(f"field-{field}").attributes["aria-invalid"] == "true"
    form = page.form("/bills")
    kept = {name: value for name, value in typed.items() if name not in ("preset", "zone")}
    assert form | kept == form
    if typed.get("preset") == "custom":
        assert "checked" in page.all("input", name="preset", value="custom")[0].attributes
    assert page.id("period-instants").text


def test_all_that_is_wrong_is_said_at_once(operator):
    page = submit(operator, customer_id="", **{**CUSTOM, "period_end": "soon"}, status=400)
    assert page.id("field-customer_id-error").text == "Customer is required."
    assert page.has("field-period_end-error")


def test_sending_the_form_twice_opens_one_bill_and_registers_once(operator, engine):
    form = operator.open("/bills/new").form("/bills")
    values = {**form, **CUSTOM, "customer_id": "twice", "register": "yes", "name": "Twice"}
    places = [(operator.send("/bills", values, status=303), operator.went_to)[1] for _ in range(2)]
    assert places[0] == places[1]
    assert len(bills_of(engine, "twice")) == 1


def test_the_exact_instants_are_stated_before_anything_is_sent(operator):
    def instants(zone, start, end):
        query = f"preset=custom&zone={zone}&period_start={start}&period_end={end}"
        return operator.open(f"/bills/new/period?{query}", htmx=True)

    page = instants("Asia/Tbilisi", f"{NEXT_YEAR}-01-01T00:00", f"{NEXT_YEAR}-02-01T00:00")
    start, end = (time.attributes["datetime"] for time in page.all("time"))
    assert (start, end) == (f"{NEXT_YEAR - 1}-12-31T20:00:00.000000Z", f"{NEXT_YEAR}-01-31T20:00:00.000000Z")
    assert "31 days" in page.text
    skipped = f"{last_sunday(NEXT_YEAR, 3)}T02:30"
    assert "does not exist" in instants("Europe/Berlin", skipped, f"{NEXT_YEAR}-05-01T00:00").text
    assert "Period end must be in the future." in instants("UTC", *OVER.values()).text
    assert "Period start is required." in operator.open("/bills/new/period?preset=custom").text


def test_a_time_that_comes_twice_is_said_to_be_the_first(operator):
    day = last_sunday(NEXT_YEAR, 10)
    query = f"preset=custom&zone=Europe/Berlin&period_start={day}T02:30&period_end={NEXT_YEAR}-12-01T00:00"
    page = operator.open(f"/bills/new/period?{query}")
    assert (
        f"02:30 comes twice that day in Europe/Berlin: the first is meant, {day.day} Oct {NEXT_YEAR}, 00:30"
        in page.text
    )
    assert page.all("time")[0].attributes["datetime"] == f"{day}T00:30:00.000000Z"


def test_the_time_zone_is_remembered_and_guessed_only_where_none_is(operator, acme, engine):
    page = operator.open("/bills/new")
    assert "data-guesses-zone" in page.id("field-zone").attributes
    assert page.form("/bills")["zone"] == "UTC"
    submit(operator, customer_id=acme, zone="Asia/Tbilisi", preset="next_month", status=303)
    assert bills_of(engine, acme)[0].period.start.hour == 20
    page = operator.open("/bills/new")
    assert "data-guesses-zone" not in page.id("field-zone").attributes
    assert page.form("/bills")["zone"] == "Asia/Tbilisi"
    operator.client.set_cookie("zone", "../../etc", domain="localhost")
    assert operator.open("/bills/new").form("/bills")["zone"] == "UTC"


def test_the_picker_finds_by_a_part_of_name_or_id(operator, acme):
    page = operator.open(f"/customer-picker?customer_id={acme[7:]}+L", htmx=True)
    assert [option.attributes["value"] for option in page.all("option")] == [acme]
    (box,) = page.all("input", name="register")
    assert "checked" not in box.attributes, "somebody fits: nobody new is meant until that is said"
    known = operator.open(f"/customer-picker?customer_id={acme}", htmx=True)
    assert f"Acme {acme[5:]} Ltd" in known.with_class("picked-customer")[0].text
    assert not known.all("input", name="register")


def test_the_picker_offers_to_register_whom_nobody_fits_and_keeps_what_was_typed(operator):
    page = operator.open("/customer-picker?customer_id=zzz-unknown&name=Zoe&email=z", htmx=True)
    assert "checked" in page.all("input", name="register")[0].attributes
    assert page.id("field-name").attributes["value"] == "Zoe"
    assert not operator.open("/customer-picker?customer_id=", htmx=True).all("input")
    for odd in ("%00", "%25", "a" * 400):
        operator.open(f"/customer-picker?customer_id={odd}", htmx=True)


def test_a_bill_like_an_earlier_one_follows_it(operator, engine, origin):
    period = Period(datetime(NEXT_YEAR - 1, 12, 1, tzinfo=UTC), datetime(NEXT_YEAR, 2, 1, tzinfo=UTC))
    earlier = bills.open_bill(engine, origin, "monthly", period).bill
    for parameter in ("from", "bill"):
        form = operator.open(f"/bills/new?{parameter}={earlier.id}").form("/bills")
        assert form["customer_id"] == "monthly"
        assert (form["period_start"], form["period_end"]) == (f"{NEXT_YEAR}-02-01T00:00", f"{NEXT_YEAR}-04-01T00:00")
    operator.open("/bills/new?from=nothing", status=404)


def test_a_month_of_another_place_is_followed_by_its_next_month(operator, engine, origin):
    """The reader's clocks are UTC's; in Berlin they are changed in October, so that this month isn't whole days."""
    period = Period(datetime(NEXT_YEAR, 9, 30, 22, tzinfo=UTC), datetime(NEXT_YEAR, 10, 31, 23, tzinfo=UTC))
    earlier = bills.open_bill(engine, origin, "in-berlin", period).bill
    form = operator.open(f"/bills/new?from={earlier.id}").form("/bills")
    times = (form["zone"], form["period_start"], form["period_end"])
    assert times == ("UTC", f"{NEXT_YEAR}-10-31T23:00", f"{NEXT_YEAR}-11-30T23:00")


def test_chosen_lines_of_the_earlier_bill_are_charged_again_once(operator, new_bill, add, engine, origin):
    earlier = new_bill("recurring")
    fee, extra = add(earlier, "Platform fee", "1", "249"), add(earlier, "One-off", "1", "5")
    wrong = add(earlier, "Mistake", "1", "7", "GEL")
    line_items.reverse(engine, origin, earlier.id, wrong.id, "wrong")
    page = operator.open(f"/bills/new?from={earlier.id}")
    assert [box.attributes["value"] for box in page.all("input", name="line")] == [str(fee.id), str(extra.id)]
    form = {**page.form("/bills"), "preset": "custom", "line": [str(fee.id)]}
    for _ in range(2):
        operator.send("/bills", form, status=303)
    new, _ = bills_of(engine, "recurring")
    _, items = reads.bill_with_items(engine, new.id, limit=9)
    assert [(item.description, item.total) for item in items] == [("Platform fee", 249)]
    assert "Opened with 1 line of the earlier bill." in operator.open(operator.went_to).id("notices").text


def test_of_a_long_bill_the_newest_lines_are_offered_and_it_says_of_how_many(
    operator, new_bill, add, engine, origin, monkeypatch
):
    monkeypatch.setattr(recurring, "MOST_LINES", 2)
    earlier = new_bill("long")
    items = [add(earlier, f"Fee {n}") for n in range(3)]
    wrong = add(earlier, "Mistake")
    line_items.reverse(engine, origin, earlier.id, wrong.id, "wrong")
    page = operator.open(f"/bills/new?from={earlier.id}")
    assert [box.attributes["value"] for box in page.all("input", name="line")] == [str(each.id) for each in items[1:]]
    hint = "The newest 2 of 3 lines; those that were reversed are not counted."
    assert hint in page.with_class("copied")[0].text
    monkeypatch.setattr(recurring, "MOST_LINES", 3)
    assert "The newest" not in operator.open(f"/bills/new?from={earlier.id}").with_class("copied")[0].text


def test_lines_stay_chosen_when_the_form_comes_back(operator, new_bill, add):
    earlier = new_bill("chosen")
    items = [add(earlier, f"Fee {n}") for n in range(2)]
    form = operator.open(f"/bills/new?from={earlier.id}").form("/bills")
    page = operator.send(
        "/bills", {**form, "preset": "custom", "period_end": "", "line": [str(items[1].id)]}, status=400
    )
    boxes = page.all("input", name="line")
    assert ["checked" in box.attributes for box in boxes] == [False, True]


def test_a_line_of_another_bill_cant_be_slipped_in(operator, new_bill, add, engine):
    earlier, other = new_bill("slip-one"), new_bill("slip-two")
    foreign = add(other)
    form = operator.open(f"/bills/new?from={earlier.id}").form("/bills")
    for line in (str(foreign.id), "nothing"):
        operator.send("/bills", {**form, "preset": "custom", "line": [line]}, status=404)
    assert len(bills_of(engine, "slip-one")) == 1


def test_a_closed_bill_has_one_like_it_too(operator, new_bill, add, engine, origin):
    earlier = new_bill("closed-one")
    add(earlier)
    bills.request_close(engine, origin, earlier.id)
    number = closing.close_bill(engine, by_the_system("r"), earlier.id, samples=True).number
    assert f"bill No. {number}" in operator.open(f"/bills/new?from={earlier.id}").text
