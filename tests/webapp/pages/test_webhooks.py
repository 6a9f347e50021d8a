"""Webhook endpoints, as administrators add, change and end them, and what was sent to one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from billing.ledger import events, webhook_backlog, webhook_endpoints, webhook_log, webhook_queue, webhook_removal
from billing.ledger.public_events import PUBLIC
from billing.ledger.webhook_queue import Attempt
from billing.webhooks import Patience
from tests.support.visitor import Visitor
from webapp.app import create_app
from webapp.config import Config
from webapp.identity.roles import Role

ADDRESS = "/settings/webhooks"
NEW = f"{ADDRESS}/new"
SOMEWHERE = "http://127.0.0.1:8099"
# No wait between attempts: what failed is due again at once.
EAGER = Patience(first=timedelta(0))


@pytest.fixture(scope="module")
def app(database_url: str) -> Iterator[Flask]:
    environment = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": "only for tests, not a secret",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "WEBHOOK_RECEIVERS": "anywhere",
    }
    made = create_app(Config.from_environment(environment))
    yield made
    made.extensions["pave"].close()


@pytest.fixture
def added(admin, engine):
    """A new endpoint: its page, as it is the first time, and the endpoint."""
    return new_webhook(admin, engine)


def new_webhook(admin, engine, *types):
    url = f"{SOMEWHERE}/{uuid4().hex}"
    form = filled(admin, url=url, told="some" if types else "every")
    admin.send(ADDRESS, MultiDict([*form.items(), *(("types", type_) for type_ in types)]), status=303)
    page = admin.open(admin.went_to)
    return page, next(one for one in webhook_endpoints.every(engine) if one.url == url)


def filled(admin, page=NEW, action=ADDRESS, **typed):
    """The form of that page, for all events unless told otherwise, with no type ticked."""
    form = admin.open(page).form(action)
    del form["types"]
    return {**form, "told": "every", **typed}


def page_of(endpoint):
    return f"{ADDRESS}/{endpoint.id}"


@pytest.fixture
def of_bills(admin, engine):
    return new_webhook(admin, engine, "bill.created", "line_items.added")[1]


@pytest.fixture
def sent(of_bills, engine, new_bill, add):
    """The events of a bill, queued for the endpoint: the first arrived, the second was refused twice."""
    endpoint, bill = of_bills, new_bill()
    add(bill)
    while webhook_backlog.fill(engine, endpoint.id, give_up_after=EAGER.give_up_after):
        pass
    attempts = [
        Attempt(is_delivered=True, status=204, latency_ms=12, excerpt="", error=None),
        Attempt(is_delivered=False, status=None, latency_ms=10_000, excerpt="", error="timeout"),
        Attempt(is_delivered=False, status=500, latency_ms=40, excerpt="<b>no room</b>", error=None),
    ]
    for attempt in attempts:
        due = next(chain for chain in webhook_queue.due(engine, endpoint.id) if chain[0].subject_id == bill.id)
        webhook_queue.record(engine, endpoint.id, due[0], attempt, EAGER)
    return endpoint


def value_of_secret(page):
    return page.id("shown-secret").attributes["value"]


def test_a_new_one_shows_its_secret_once(added, admin):
    page, endpoint = added

    assert value_of_secret(page).startswith("whsec_")
    again = admin.open(page_of(endpoint))
    assert not again.has("shown-secret")
    assert admin.answer.headers["Cache-Control"] == "no-store"
    assert endpoint.url in admin.open(ADDRESS).text


def test_sent_twice_it_is_one(admin, engine):
    url = f"{SOMEWHERE}/{uuid4().hex}"
    form = filled(admin, url=url)
    admin.send(ADDRESS, form, status=303)
    assert admin.open(admin.went_to).has("shown-secret")
    admin.send(ADDRESS, form, status=303)

    assert not admin.open(admin.went_to).has("shown-secret")
    assert [one.url for one in webhook_endpoints.every(engine)].count(url) == 1


def test_it_is_told_of_all_events_or_of_those_that_are_ticked(admin, engine):
    assert new_webhook(admin, engine)[1].types is None

    page, endpoint = new_webhook(admin, engine, "bill.closed", "bill.created")
    assert endpoint.types == ("bill.created", "bill.closed")
    assert "Events bill.created, bill.closed" in page.text


def test_every_public_type_can_be_ticked(admin):
    boxes = admin.open(NEW).all("input", name="types")

    assert [box.attributes["value"] for box in boxes] == list(PUBLIC)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"url": ""}, "Address is required."),
        ({"url": "receiver.example"}, "Address must begin with https://."),
        ({"url": "http://169.254.169.254/"}, "Address must lead to a host on the public internet."),
        ({"url": "https://user:password@127.0.0.1/"}, "Address must not contain a user name or password."),
        ({"url": SOMEWHERE, "told": "some"}, "Tick at least one type of event."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin, engine, typed, sentence):
    before = len(webhook_endpoints.every(engine))
    page = admin.send(ADDRESS, filled(admin, **typed), status=400)

    assert [error.text for error in page.with_class("error")] == [sentence]
    assert page.id("field-url").attributes["value"] == typed["url"]
    assert len(webhook_endpoints.every(engine)) == before


def test_what_was_ticked_stays_ticked_in_a_refused_form(admin):
    form = filled(admin, url="nowhere", told="some")
    page = admin.send(ADDRESS, MultiDict([*form.items(), ("types", "bill.closed")]), status=400)

    ticked = [box for box in page.all("input", name="types") if "checked" in box.attributes]
    assert [box.attributes["value"] for box in ticked] == ["bill.closed"]


def test_another_address_and_other_events(added, admin, engine):
    _, endpoint = added
    edit = f"{page_of(endpoint)}/edit"
    form = filled(admin, edit, page_of(endpoint), url=f"{SOMEWHERE}/moved", told="some")
    admin.send(page_of(endpoint), MultiDict([*form.items(), ("types", "bill.closed")]), status=303)

    changed = webhook_endpoints.by_id(engine, endpoint.id)
    assert (changed.url, changed.types) == (f"{SOMEWHERE}/moved", ("bill.closed",))
    page = admin.open(edit)
    assert page.form(page_of(endpoint))["url"] == f"{SOMEWHERE}/moved"


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(added, admin, engine, origin):
    _, endpoint = added
    form = filled(admin, f"{page_of(endpoint)}/edit", page_of(endpoint), url=f"{SOMEWHERE}/mine")
    webhook_endpoints.edit(engine, origin, endpoint.id, {"url": f"{SOMEWHERE}/theirs"})

    page = admin.send(page_of(endpoint), form, status=409)
    assert "Somebody else changed this webhook meanwhile" in page.text
    assert webhook_endpoints.by_id(engine, endpoint.id).url == f"{SOMEWHERE}/theirs"
    admin.send(page_of(endpoint), {**form, "version": page.form(page_of(endpoint))["version"]}, status=303)
    assert webhook_endpoints.by_id(engine, endpoint.id).url == f"{SOMEWHERE}/mine"


def test_a_rotated_secret_is_shown_once_and_the_one_before_signs_for_a_day(added, admin):
    page, endpoint = added
    first = value_of_secret(page)
    rotated = admin.submit(page_of(endpoint), f"{page_of(endpoint)}/secret")

    assert value_of_secret(rotated) != first
    assert "also signs until" in rotated.text
    assert not admin.open(page_of(endpoint)).has("shown-secret")


def test_paused_and_resumed(added, admin, engine):
    _, endpoint = added
    paused = admin.submit(page_of(endpoint), f"{page_of(endpoint)}/pause")
    assert "Paused: nothing is sent" in paused.text
    assert webhook_endpoints.by_id(engine, endpoint.id).is_paused
    assert "Paused" in admin.open(ADDRESS).id(f"webhook-{endpoint.id}").text

    resumed = admin.submit(page_of(endpoint), f"{page_of(endpoint)}/pause/end")
    assert "goes on from where it stopped" in resumed.text
    assert not webhook_endpoints.by_id(engine, endpoint.id).is_paused


def test_deleted_it_is_gone(added, admin, engine):
    _, endpoint = added
    page = admin.submit(page_of(endpoint), f"{page_of(endpoint)}/removal")

    assert "Deleted" in page.text
    assert not page.has(f"webhook-{endpoint.id}")
    admin.open(page_of(endpoint), status=404)


def test_the_log_tells_how_sending_went(sent, admin):
    second, first = (row.text for row in rows_of(admin.open(page_of(sent))))

    assert first.startswith("bill.created evt_")
    assert "Delivered 1 Answered 204 12 ms" in first
    assert second.startswith("line_items.added evt_")
    assert "Waiting 2 Answered 500 40 ms" in second
    assert "2. Answered 500" in second
    assert "1. No whole answer in time" in second


def test_what_a_receiver_answers_is_text(sent, admin):
    page = admin.open(page_of(sent))

    assert [one.text for one in page.with_class("excerpt")] == ["<b>no room</b>"]


def test_the_log_by_state(sent, admin):
    for state, types in {"": 2, "delivered": 1, "pending": 1, "failed": 0, "unknown": 2}.items():
        assert len(rows_of(admin.open(f"{page_of(sent)}?status={state}"))) == types


def rows_of(page):
    return [row for row in page.all("tr") if row.attributes.get("id", "").startswith("delivery-")]


def test_a_long_log_goes_on(of_bills, admin, engine, new_bill, add):
    endpoint, bill = of_bills, new_bill()
    for _ in range(30):
        add(bill)
    while webhook_backlog.fill(engine, endpoint.id, give_up_after=EAGER.give_up_after):
        pass

    newest = admin.open(page_of(endpoint))
    older = admin.open(newest.all("a", rel="next")[0].attributes["href"])
    assert (len(rows_of(newest)), len(rows_of(older))) == (25, 6)
    assert older.all("a", rel="first")
    assert newest.id("webhook-waiting").text == "31"


def test_one_is_sent_again(sent, admin, engine):
    again = next(
        form
        for form in admin.open(page_of(sent)).all("form", action=f"{page_of(sent)}/redeliveries")
        if is_of_first(form)
    )
    values = {one.attributes["name"]: one.attributes["value"] for one in again.all("input")}
    admin.send(f"{page_of(sent)}/redeliveries", values, status=303)

    assert "It is sent again." in admin.open(admin.went_to).text
    assert {one.type: one.status for one in webhook_log.deliveries(engine, sent.id, limit=9)} == {
        "bill.created": "pending",
        "line_items.added": "pending",
    }


def is_of_first(form):
    return any(one.attributes.get("value", "").endswith("_1") for one in form.all("input", name="event"))


def test_all_since_then_are_sent_again(sent, admin, engine):
    redeliver(admin, sent, since=(datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"))

    assert "2 events are sent again, in their order." in admin.open(admin.went_to).text
    webhook_backlog.fill(engine, sent.id, give_up_after=EAGER.give_up_after)
    assert [one.status for one in webhook_log.deliveries(engine, sent.id, limit=9)] == ["pending", "pending"]


@pytest.mark.parametrize("typed", ["", "yesterday"])
def test_since_when_must_be_a_time(sent, admin, engine, typed):
    page = redeliver(admin, sent, since=typed, status=400)

    assert page.with_class("error")
    assert "delivered" in {one.status for one in webhook_log.deliveries(engine, sent.id, limit=9)}


def redeliver(admin, endpoint, *, since, status=303):
    action = f"{page_of(endpoint)}/redeliveries"
    opened = admin.open(page_of(endpoint))
    form = next(form for form in opened.all("form", action=action) if form.all("input", name="since"))
    values = {one.attributes["name"]: one.attributes.get("value", "") for one in form.all("input")}
    return admin.send(action, {**values, "since": since}, status=status)


def test_what_was_done_is_told_with_who_did_it(added, admin, engine):
    page, endpoint = added
    admin.submit(page_of(endpoint), f"{page_of(endpoint)}/pause")

    assert "Paused" in admin.open(page_of(endpoint)).with_class("timeline")[0].text
    logged = events.of_subject(engine, endpoint.id, after_version=0, limit=9)
    assert {event.actor.name for event in logged} == {"admin@example.com"}
    assert all(value_of_secret(page) not in str(event.data) for event in logged)


def test_there_is_nothing_yet(admin, engine, origin):
    for endpoint in webhook_endpoints.every(engine):
        webhook_removal.remove(engine, origin, endpoint.id)

    assert "No webhooks yet" in admin.open(ADDRESS).text


@pytest.mark.parametrize("part", ["", "/edit"])
def test_one_that_isnt_there_is_not_found(admin, part):
    assert admin.open(f"{ADDRESS}/{UUID(int=7)}{part}", status=404)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_administrators_see_them(added, app, accounts, role):
    _, endpoint = added
    visitor = Visitor(app.test_client()).signed_in(accounts[role])

    for address in (ADDRESS, NEW, page_of(endpoint), f"{page_of(endpoint)}/edit"):
        visitor.open(address, status=403)
    assert "Webhooks" not in visitor.open("/settings/seller").text
