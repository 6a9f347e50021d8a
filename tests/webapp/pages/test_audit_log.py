"""The audit log as administrators see it, and as nobody else does."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from sqlalchemy import text

from billing.ledger import bills, closing, events, sealing
from billing.ledger.database import transaction
from billing.origin import Actor, ActorKind, Origin
from webapp.pages import audit_log

LOG = "/settings/audit-log"
NOBODYS = "3f0d8f1c-6a1e-4a53-9b0a-2f6f0c5d7e81"
LATE = "Nothing was sealed for more than five minutes"
EXPORTS = [f"{LOG}.csv", f"{LOG}.ndjson"]


@pytest.fixture
def logged(engine):
    """Logs an event of nobody's in particular."""

    def log(type_="user.disabled", name="somebody@example.com", data=None, subject=None, version=1):
        origin = Origin(Actor(ActorKind.USER, str(uuid4()), name), uuid4(), "request-7")
        subject = subject or uuid4()
        with transaction(engine) as connection:
            events.append(connection, origin, type_, ("user", subject), version, datetime.now(UTC), data)
        return subject

    return log


def rows(page):
    return [element for element in page.all("tr") if element.attributes.get("id", "").startswith("event-")]


@pytest.mark.parametrize("address", [LOG, *EXPORTS, f"{LOG}/{NOBODYS}/1"])
def test_for_administrators_only(viewer, operator, app, address):
    for somebody in (viewer, operator):
        assert somebody.client.get(address).status_code == 403
    assert app.test_client().get(address).status_code == 303


def test_only_they_see_its_tab(viewer, admin):
    assert "Audit log" in admin.open("/settings/seller").text
    assert "Audit log" not in viewer.open("/settings/seller").text


def test_everything_that_happened_newest_first(admin, new_bill, add, engine, origin):
    bill = new_bill()
    add(bill, quantity="6", price="0.6", code="GEL")
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, origin, bill.id, samples=True)
    page = admin.open(f"{LOG}?subject={bill.id}")
    assert [row.all("a")[0].text for row in rows(page)] == ["Closed", "Closing requested", "Added", "Opened"]
    assert "3.6" in rows(page)[2].text
    assert "ledger-sync API key" in rows(page)[2].text
    assert rows(admin.open(LOG))[0].attributes["id"] == rows(page)[0].attributes["id"]


def test_one_event_with_all_that_is_stored(admin, new_bill, add, engine):
    bill = new_bill()
    add(bill, quantity="6", price="0.6", code="GEL")
    page = admin.open(f"{LOG}/{bill.id}/2")
    for part in ("line_items.added", str(bill.id), "version 2", "ledger-sync", "API key", "request-1", '"GEL": "3.6"'):
        assert part in page.text
    assert "Not sealed yet" in page.text
    while sealing.seal(engine):
        pass
    last = sealing.last(engine)
    assert f"Seal {last.number}" in admin.open(f"{LOG}/{bill.id}/2").text
    assert any(link.attributes["href"] == f"/bills/{bill.id}" for link in page.all("a"))


@pytest.mark.parametrize(
    "place", [f"{NOBODYS}/1", "nonsense/1", f"{NOBODYS}/x", f"{NOBODYS}/{'9' * 19}", f"{NOBODYS}/-1"]
)
def test_an_event_that_is_none(admin, place):
    admin.open(f"{LOG}/{place}", status=404)


def test_filters_narrow_it(admin, logged):
    name = f"{uuid4().hex}@example.com"
    subject = logged("user.disabled", name)
    logged("user.enabled", name, subject=subject, version=2)
    logged("user.enabled", f"{uuid4().hex}@example.com")
    today, tomorrow = (datetime.now(UTC).date() + timedelta(days=n) for n in (0, 1))

    def shown(**filters):
        query = "&".join(f"{key.rstrip('_')}={value}" for key, value in filters.items())
        return len(rows(admin.open(f"{LOG}?{query}")))

    assert shown(actor=name) == 2
    assert shown(actor=name, type="user.enabled") == 1
    assert shown(actor=name, subject=subject) == 2
    assert shown(subject=subject, type="user.disabled") == 1
    assert shown(actor=name, from_=today - timedelta(days=1), to=tomorrow) == 2
    assert shown(actor=name, from_=tomorrow + timedelta(days=1)) == 0
    assert shown(actor=name, to=today - timedelta(days=2)) == 0
    assert shown(actor=f"{name}%00") == 0


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("subject=nonsense", "filter-subject", "Not an id"),
        ("from=yesterday", "filter-from", "Not a date"),
        ("to=9999-12-31", "filter-to", "Not a date"),
        ("from=2026-11-02&to=2026-11-01", "filter-to", "before the first one"),
    ],
)
def test_what_is_wrong_with_a_filter_stands_beside_it(admin, query, field, sentence):
    page = admin.open(f"{LOG}?{query}")
    assert sentence in page.id(f"{field}-error").text
    assert rows(page) == []
    assert page.id(field).attributes["value"] in query


@pytest.mark.parametrize("address", EXPORTS)
def test_a_wrong_filter_exports_nothing(admin, address):
    assert admin.client.get(f"{address}?subject=nonsense").status_code == 400


@pytest.mark.parametrize(
    "place", ["nonsense", "~", "1~2", "2026-01-01T00:00:00Z~x", "2026-01-01T00:00:00Z~" + "9" * 19, "7"]
)
def test_a_mangled_place_is_not_found(admin, place):
    admin.open(f"{LOG}?after={place}", status=404)


def test_it_goes_on_where_a_page_ends(admin, logged, monkeypatch):
    monkeypatch.setattr(audit_log, "EVENTS_SHOWN", 2)
    name = f"{uuid4().hex}@example.com"
    subjects = [str(logged(name=name)) for _ in range(5)]
    address, seen, pages = f"{LOG}?actor={name}", [], 0
    while address:
        page, pages = admin.open(address), pages + 1
        seen += [row.attributes["id"].removeprefix("event-").removesuffix("-1") for row in rows(page)]
        onward = [link for link in page.all("a") if link.attributes.get("rel") == "next"]
        address = onward[0].attributes["href"] if onward else None
    assert seen == list(reversed(subjects))
    assert pages == 3


def test_and_so_does_that_of_one_subject(admin, logged, monkeypatch):
    monkeypatch.setattr(audit_log, "EVENTS_SHOWN", 2)
    subject = logged()
    for version in (2, 3):
        logged(subject=subject, version=version)
    page = admin.open(f"{LOG}?subject={subject}")
    (onward,) = [link for link in page.all("a") if link.attributes.get("rel") == "next"]
    assert [row.attributes["id"] for row in rows(admin.open(onward.attributes["href"]))] == [f"event-{subject}-1"]


@pytest.mark.parametrize(
    "data", [None, {"number": None}, {"totals": []}, {"totals": {"USD": "NaN?"}}, {"period_end": 7}]
)
@pytest.mark.parametrize("type_", ["bill.closed", "line_items.added", "bill.created", "unheard.of"])
def test_an_event_that_makes_no_sense_is_shown_all_the_same(admin, logged, type_, data):
    subject = logged(type_, data=data)
    admin.open(f"{LOG}?subject={subject}")
    assert type_ in admin.open(f"{LOG}/{subject}/1").text


def test_nobodys_text_is_markup(admin, logged):
    name = f"<b id=bad>{uuid4().hex}</b>"
    subject = logged("<i id=worse>", name, {"<u id=worst>": "</pre><u id=worst>"})
    for page in (admin.open(f"{LOG}?subject={subject}"), admin.open(f"{LOG}/{subject}/1"), admin.open(LOG)):
        assert not any(page.has(name) for name in ("bad", "worse", "worst"))


def test_how_far_it_is_sealed(admin, engine, logged):
    logged()
    while sealing.seal(engine):
        pass
    last = sealing.last(engine)
    assert admin.open(LOG).id("last-seal").text == last.name
    assert "for the next" not in admin.open(LOG).text
    logged()
    assert "1 event waits for the next" in admin.open(LOG).text
    assert LATE not in admin.open(LOG).text


def test_a_seal_that_is_late_is_said(admin, engine, logged):
    subject = logged()
    with transaction(engine) as connection:
        late = text("UPDATE events SET occurred_at = occurred_at - interval '6 minutes' WHERE subject_id = :id")
        connection.execute(late, {"id": subject})
    assert LATE in admin.open(LOG).text
    while sealing.seal(engine):
        pass
    assert LATE not in admin.open(LOG).text


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize(
    ("address", "mimetype"), [(f"{LOG}.csv", "text/csv"), (f"{LOG}.ndjson", "application/x-ndjson")]
)
def test_files_are_named_for_their_day(admin, address, mimetype):
    answer = admin.client.get(address)
    name = f"audit-log-{datetime.now(UTC).date()}.{address.rpartition('.')[2]}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.mimetype == mimetype
    assert "no-store" in answer.headers["Cache-Control"]


def test_exports_are_what_is_filtered(admin, logged):
    name = f'=HYPERLINK("x"), {uuid4().hex}'
    subjects = [str(logged(name=name, data={"n": n})) for n in range(3)]
    lines = admin.client.get(f"{LOG}.ndjson", query_string={"actor": name}).text.splitlines()
    parsed = [json.loads(line) for line in lines]
    assert [line["subject_id"] for line in parsed] == list(reversed(subjects))
    assert [line["data"] for line in parsed] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert parsed[0]["actor_name"] == name
    answer = admin.client.get(f"{LOG}.csv", query_string={"actor": name})
    read = list(csv.DictReader(StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert [row["subject_id"] for row in read] == list(reversed(subjects))
    assert read[0]["actor_name"] == f"'{name}"
