"""An open page follows its bill."""

import re
import threading
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from billing.ledger import bills, line_items, links
from tests.support.watching import watching
from webapp.live import hub as live_hub
from webapp.live import speaker
from webapp.live.views import pieces_of
from webapp.live.watches import Link
from webapp.pages.element_ids import element_id
from webapp.pages.followed import StaffView


def state_of(page, bill):
    values = {
        e.attributes["name"]: e.attributes.get("value", "") for e in page.id(element_id(bill, "live")).all("input")
    }
    if page.has("oldest-item"):
        values["oldest"] = page.id("oldest-item").attributes["value"]
    return values | {"shown_currency": page.id("shown-currency").attributes["value"]}


def changes(operator, bill, state, status=200):
    query = "&".join(f"{name}={value}" for name, value in state.items())
    return operator.open(f"/bills/{bill.id}/changes?{query}", htmx=True, status=status)


def test_nothing_is_sent_while_nothing_changed(operator, new_bill, add):
    bill = new_bill()
    add(bill)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    changes(operator, bill, state, status=204)


def test_lines_totals_and_events_of_others_arrive_once(operator, new_bill, add):
    bill = new_bill()
    add(bill, description="known")
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    item = add(bill, description="news", code="GEL")
    fragment = changes(operator, bill, state)
    (rows,) = fragment.all("tbody", **{"hx-swap-oob": f"afterbegin:#{element_id(bill, 'items')}"})
    assert [row.attributes["id"] for row in rows.all("tr")] == [element_id(item)]
    assert "fresh" in rows.all("tr")[0].attributes["class"]
    assert fragment.id(element_id(bill, "total-GEL"))
    assert [e.attributes["id"] for e in fragment.all("li")] == ["event-3"]
    assert not fragment.has("add-row")
    changes(operator, bill, state_of(fragment, bill), status=204)


def test_a_page_that_lags_far_behind_gets_its_newest_lines_anew(operator, new_bill, add):
    bill = new_bill()
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    for _ in range(51):
        add(bill)
    fragment = changes(operator, bill, state)
    (rows,) = fragment.all("tbody", **{"hx-swap-oob": f"innerHTML:#{element_id(bill, 'items')}"})
    assert len(rows.all("tr")) == 50
    (events,) = fragment.all("ol", **{"hx-swap-oob": f"innerHTML:#{element_id(bill, 'events')}"})
    assert len([e for e in events.all("li") if "id" in e.attributes]) == 8


def test_only_lines_that_the_page_shows_are_marked_as_reversed(operator, new_bill, add, engine, origin):
    from billing.ledger import line_items

    bill = new_bill()
    items = [add(bill) for _ in range(52)]
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    for item in (items[0], items[51]):
        line_items.reverse(engine, origin, bill.id, item.id, "wrong")
    fragment = changes(operator, bill, state)
    assert fragment.has(element_id(items[51]))
    assert not fragment.has(element_id(items[0]))


def test_a_bill_that_closes_elsewhere_says_so_on_the_open_page(operator, new_bill, engine, origin):
    bill = new_bill()
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    bills.request_close(engine, origin, bill.id)
    fragment = changes(operator, bill, state)
    assert "finishes by itself" in fragment.id(element_id(bill, "header")).text
    assert "takes no more lines" in fragment.id("add-problem").text
    assert "data-live" in fragment.id(element_id(bill, "live")).attributes


def test_links_that_others_make_and_revoke_are_news_too_and_come_once(operator, new_bill, add, engine, origin):
    bill = new_bill()
    links.create(engine, origin, bill.id)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    changes(operator, bill, state, status=204)
    link, _ = links.create(engine, origin, bill.id)
    add(bill)
    fragment = changes(operator, bill, state)
    (events,) = fragment.all("ol", **{"hx-swap-oob": f"afterbegin:#{element_id(bill, 'events')}"})
    assert [event.all("b")[0].text for event in events.all("li")] == ["Added", "Shared"]
    state = state_of(fragment, bill)
    changes(operator, bill, state, status=204)
    links.revoke(engine, origin, bill.id, link.id)
    assert [e.all("b")[0].text for e in changes(operator, bill, state).all("li")] == ["Link revoked"]


def test_an_open_page_is_told_of_a_link_by_its_stream(operator, new_bill, engine, origin):
    stream = operator.client.get(f"/bills/{(bill := new_bill()).id}/stream", buffered=False)
    heard = stream.iter_encoded()
    assert next(heard)[:5] == b"retry"
    assert b'"told":1' in next(heard)
    links.create(engine, origin, bill.id)
    news = next(one for one in heard if b"event: news" in one)
    assert b'"told":2' in news
    assert b"<b>Shared</b>" in news
    stream.close()


def test_after_many_links_the_newest_events_come_with_the_way_to_older_ones(operator, new_bill, engine, origin):
    bill = new_bill()
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    for _ in range(9):
        links.create(engine, origin, bill.id)
    fragment = changes(operator, bill, state)
    (events,) = fragment.all("ol", **{"hx-swap-oob": f"innerHTML:#{element_id(bill, 'events')}"})
    older = events.all("a")[0].attributes["href"]
    page = operator.open(older)
    assert [e.all("b")[0].text for e in page.with_class("timeline")[0].all("li")] == ["Shared", "Opened"]


def test_every_piece_of_the_answer_has_its_place(operator, new_bill, add):
    bill = new_bill()
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    add(bill)
    changes(operator, bill, state)
    outside = re.sub(r"<template>.*?</template>", "", operator.answer.text, flags=re.DOTALL)
    assert not outside.strip()


def test_a_page_that_claims_to_be_ahead_of_its_bill_gets_nothing_new(operator, new_bill, add):
    bill = new_bill()
    add(bill)
    highest = 2**63 - 1
    state = {"newest": highest, "oldest": highest, "version": highest}
    fragment = changes(operator, bill, state)
    assert not fragment.all("li")
    assert fragment.has(element_id(bill, "total-USD"))


@pytest.fixture
def statements(monkeypatch):
    """What the database is asked from now on."""
    heard = []
    execute = psycopg.Cursor.execute

    def counted(cursor, query, *given, **options):
        heard.append(str(query))
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    return heard


@pytest.mark.usefixtures("nothing_to_remember_anew")
def test_to_be_told_of_nothing_new_costs_one_small_query(operator, new_bill, add, statements):
    bill = new_bill()
    add(bill)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    changes(operator, bill, state, status=204)
    del statements[:]
    changes(operator, bill, state, status=204)
    assert len([one for one in statements if "bill" in one]) == 1


@pytest.mark.usefixtures("nothing_to_remember_anew")
def test_lines_that_were_added_are_read_at_one_instant(operator, new_bill, add, statements):
    bill = new_bill()
    add(bill)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    add(bill, description="news")
    del statements[:]
    assert "news" in changes(operator, bill, state).text
    assert len([one for one in statements if one.startswith("BEGIN")]) == 1
    assert len([one for one in statements if "FROM line_items" in one]) == 1


def test_a_page_that_opens_has_the_same_events_as_the_pages_after_it(operator, new_bill, add, engine, origin):
    """However those of its links lie between its own."""
    bill = new_bill()
    for turn in range(6):
        add(bill)
        if turn % 2:
            links.create(engine, origin, bill.id)
    page = operator.open(f"/bills/{bill.id}")
    events = page.id(element_id(bill, "events"))
    newest = [e.attributes["id"] for e in events.all("li") if "id" in e.attributes]
    assert len(newest) == 8
    (older,) = [e for e in events.all("a") if e.text == "Older"]
    rest = operator.open(older.attributes["href"], htmx=True)
    both = newest + [e.attributes["id"] for e in rest.all("li") if "id" in e.attributes]
    assert len(set(both)) == len(both) == 10
    assert [event for event in both if event.count("-") == 1] == [f"event-{n}" for n in range(7, 0, -1)]


def test_who_added_a_line_is_known_however_much_happened_since(operator, new_bill, add, engine, origin):
    bill = new_bill()
    item = add(bill)
    for days in range(1, 52):
        bills.change_period(engine, origin, bill.id, bill.period.end + timedelta(days=days))
    row = operator.open(f"/bills/{bill.id}").id(element_id(item))
    assert row.all("small")[0].attributes["title"] == origin.actor.name


def test_where_the_bill_is_watched_it_costs_none(app, operator, new_bill, add, monkeypatch):
    # However late a busy machine lets the thread look again.
    monkeypatch.setattr(live_hub, "FRESH_FOR_S", float("inf"))
    bill = new_bill()
    add(bill)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    system, reads = app.extensions["pave"], []
    with watching(system, bill):
        read = system.live.read
        monkeypatch.setattr(system.live, "read", lambda ids: reads.append(threading.current_thread().name) or read(ids))
        for _ in range(5):
            changes(operator, bill, state, status=204)
    assert set(reads) <= {"live"}


def test_who_was_told_of_a_version_is_not_answered_with_an_older_one(app, operator, new_bill, add):
    bill = new_bill()
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    with watching(app.extensions["pave"], bill):
        add(bill)
        fragment = changes(operator, bill, state | {"told": "2"})
    assert fragment.has(element_id(bill, "total-USD"))


def test_a_bill_nobody_knows_has_neither_changes_nor_a_stream(operator):
    for noun in ("changes", "stream"):
        operator.open(f"/bills/00000000-0000-7000-8000-000000000000/{noun}", status=404)


def test_a_session_has_two_streams_in_a_process_and_its_pages_poll_beyond_that(operator, viewer, new_bill):
    bill = new_bill()
    address = f"/bills/{bill.id}/stream"
    streams = [operator.client.get(address, buffered=False) for _ in range(3)]
    others = viewer.client.get(address, buffered=False)
    assert [one.status_code for one in (*streams, others)] == [200, 200, 429, 200]
    assert streams[0].mimetype == "text/event-stream"
    assert streams[0].headers["Cache-Control"] == "no-store"
    heard = streams[0].iter_encoded()
    assert next(heard).split(b":")[0] == b"retry"
    assert b'"version":1' in next(heard)
    for one in (*streams, others):
        one.close()


def test_a_stream_knows_when_its_session_has_ended(operator, new_bill, engine, monkeypatch):
    monkeypatch.setattr(speaker, "ADMIT_EVERY_S", 0.2)
    stream = operator.client.get(f"/bills/{new_bill().id}/stream", buffered=False)
    heard = stream.iter_encoded()
    assert len([next(heard), next(heard)]) == 2
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sessions"))
    assert not [one for one in heard if b"alive" not in one]
    stream.close()


def pieces_by_place(html):
    """What a fragment puts where, but for what ages with every moment."""
    found = {}
    for piece in pieces_of(html):
        root = re.search(r"<template>\s*(<[^>]*>)", piece)[1]
        place = re.search(r'(hx-swap-oob="[^"]*#[^"]*"| id="[^"]*")', root)[1]
        found[place] = re.sub(r"<progress.*?</progress>", "", piece, flags=re.DOTALL)
    return found


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_what_a_stream_brings_is_what_the_page_would_have_asked_for(app, operator, viewer, new_bill, add, role):
    somebody = {"operator": operator, "viewer": viewer}[role]
    bill = new_bill()
    add(bill, description="known")
    page = somebody.open(f"/bills/{bill.id}")
    state = state_of(page, bill)
    view = StaffView(bill.id, state["shown_currency"], role == "operator", app.extensions["pave"])
    with watching(app.extensions["pave"], bill, view) as heard:
        for code in ("GEL", "USD", "EUR"):
            add(bill, description=f"in {code}", code=code)
            said = heard.next("news")
            assert said["from"] == state["seen"]
            fragment = changes(somebody, bill, state)
            told, asked = pieces_by_place(said["html"]), pieces_by_place(somebody.answer.text)
            assert told.keys() <= asked.keys()
            assert told == {place: asked[place] for place in told}
            # What isn't told is as it was.
            assert {place.split("-")[-1] for place in asked.keys() - told.keys()} <= {'header"'}
            state = state_of(fragment, bill)
            assert said["seen"] == state["seen"]


def test_what_a_stream_brings_of_reversals_links_and_the_close_is_the_same_too(
    app, operator, new_bill, add, engine, origin
):
    bill = new_bill()
    item, viewer = add(bill), Link(links.create(engine, origin, bill.id)[0].id)
    state = state_of(operator.open(f"/bills/{bill.id}"), bill)
    view = StaffView(bill.id, state["shown_currency"], True, app.extensions["pave"])
    acts = (
        lambda: line_items.reverse(engine, origin, bill.id, item.id, "wrong"),
        lambda: links.create(engine, origin, bill.id),
        lambda: bills.request_close(engine, origin, bill.id),
    )
    with watching(app.extensions["pave"], bill, view, viewer) as heard:
        for act in acts:
            act()
            said = heard.next("news")
            fragment = changes(operator, bill, state)
            told, asked = pieces_by_place(said["html"]), pieces_by_place(operator.answer.text)
            assert told == {place: asked[place] for place in told}
            state = state_of(fragment, bill)
            assert said["seen"] == state["seen"]
