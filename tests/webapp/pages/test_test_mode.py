"""The console's test mode: the same pages below `/test`, marked, with nothing live on them; and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine

from billing.bill import Bill
from billing.ledger import bills, closing, line_items, rollups, webhook_endpoints
from billing.ledger.database import transaction
from billing.origin import Origin, by_the_system
from billing.period import Period
from tests.support.ledger import draft
from tests.support.visitor import HTMX, Visitor
from webapp.identity import api_keys
from webapp.identity.roles import Role


@pytest.fixture
def tried(app: Flask) -> Engine:
    return app.extensions["pave"].of_test_mode.engine


@pytest.fixture
def bill(tried: Engine, origin: Origin) -> Bill:
    """Of test mode, with a line."""
    instant = datetime.now(UTC)
    opened = bills.open_bill(tried, origin, f"trial-{uuid4().hex}", Period(instant, instant + timedelta(days=60))).bill
    return line_items.add(tried, origin, opened.id, draft())[0]


@pytest.fixture
def closed(tried: Engine, bill: Bill, origin: Origin) -> Bill:
    bills.request_close(tried, origin, bill.id)
    done = closing.close_bill(tried, by_the_system("test"), bill.id, samples=True)
    assert isinstance(done, Bill)
    return done


def test_a_test_bill_is_below_the_prefix_and_nowhere_else(operator: Visitor, bill: Bill) -> None:
    page = operator.open(f"/test/bills/{bill.id}")
    assert "Test mode. Nothing here is an invoice." in page.text
    assert [mark.text for mark in page.id(f"bill-{bill.id}-header").with_class("warn")] == ["Test"]
    operator.open(f"/bills/{bill.id}", status=404)


@pytest.mark.parametrize("path", ["/", "/bills", "/customers", "/palette?q=trial", "/bills.csv"])
def test_no_live_page_has_anything_of_it(
    operator: Visitor, bill: Bill, tried: Engine, engine: Engine, path: str
) -> None:
    for ledger in (engine, tried):
        while rollups.follow(ledger):
            pass
    headers = HTMX if path.startswith("/palette") else {}
    live, test = (operator.client.get(address, headers=headers).text for address in (path, f"/test{path}"))
    assert bill.customer.external_id not in live
    assert bill.customer.external_id in test


def test_a_live_bill_is_not_below_the_prefix(operator: Visitor, new_bill: Callable[..., Bill]) -> None:
    live = new_bill()
    operator.open(f"/test/bills/{live.id}", status=404)
    assert str(live.id) not in operator.client.get("/test/bills").text


def test_links_of_the_pages_stay_below_the_prefix(operator: Visitor, bill: Bill) -> None:
    page = operator.open(f"/test/bills/{bill.id}")
    leads = [link.attributes[name] for link in page for name in ("href", "action", "hx-get", "hx-post")
             if link.attributes.get(name, "").startswith("/")]  # fmt: skip
    assert [address for address in leads if not address.startswith("/test/")] == ["/", "/"]
    assert page.with_class("mode")[0].text == "Leave test mode"


def test_lines_are_added_and_the_bill_is_closed_there(operator: Visitor, bill: Bill, tried: Engine) -> None:
    page = operator.open(f"/test/bills/{bill.id}")
    address = f"/test/bills/{bill.id}/line-items"
    values = {"description": "Fee", "quantity": "2", "unit_price": "3", "currency": "GEL"}
    operator.send(address, {**page.form(address), **values}, status=303)
    assert operator.went_to.startswith(f"/test/bills/{bill.id}")
    dialog = operator.open(f"/test/bills/{bill.id}/closure", htmx=True)
    assert "Close this test bill?" in dialog.text
    assert "Test: not an invoice" in dialog.text
    operator.submit(f"/test/bills/{bill.id}/closure", f"/test/bills/{bill.id}/closure")
    closing.close_due(tried, by_the_system("test"), limit=10, samples=True)
    page = operator.open(f"/test/bills/{bill.id}")
    assert "No. TEST-" in page.text


class TestClock:
    def test_it_is_advanced_by_a_dialog(self, operator: Visitor, bill: Bill) -> None:
        to = bill.period.end - timedelta(days=2)
        address = f"/test/bills/{bill.id}/clock"
        page = operator.submit(address, address, now=f"{to:%Y-%m-%dT%H:%M}")
        assert "for this bill." in page.id("notices").text
        header = page.id(f"bill-{bill.id}-header").text
        assert "closes by itself in 2 d 0 h" in header
        assert "Its clock" in header

    def test_as_it_opens_it_is_for_the_end(self, operator: Visitor, bill: Bill, tried: Engine) -> None:
        address = f"/test/bills/{bill.id}/clock"
        operator.submit(address, address)
        assert bill.id in closing.close_due(tried, by_the_system("test"), limit=10, samples=True)

    def test_what_is_wrong_stands_beside_the_field(self, operator: Visitor, bill: Bill) -> None:
        address = f"/test/bills/{bill.id}/clock"
        page = operator.submit(address, address, status=400, now="2020-01-01T00:00")
        assert "only goes forward" in page.id("field-now-error").text

    def test_a_viewer_is_not_offered_it_and_a_live_bill_has_none(
        self, operator: Visitor, viewer: Visitor, bill: Bill, new_bill: Callable[..., Bill]
    ) -> None:
        assert operator.open(f"/test/bills/{bill.id}").has("advance-clock")
        assert not viewer.open(f"/test/bills/{bill.id}").has("advance-clock")
        viewer.open(f"/test/bills/{bill.id}/clock", status=403)
        live = new_bill()
        assert not operator.open(f"/bills/{live.id}").has("advance-clock")
        assert led(operator, f"/bills/{live.id}/clock") == f"/bills/{live.id}"


def test_what_is_the_same_in_both_modes_has_one_address(admin: Visitor, viewer: Visitor) -> None:
    for path in ("/rates", "/attention", "/settings/audit-log", "/settings/users", "/settings/api-keys?x=1"):
        assert led(admin, f"/test{path}") == path
    admin.open("/test/settings/webhooks")
    assert led(admin, "/test/readyz?strict=1") == "/readyz?strict=1"
    assert admin.client.post("/test/rates/refreshes").status_code in {400, 404}


def test_live_concerns_are_not_those_of_test_mode(app: Flask, admin: Visitor, viewer: Visitor, tried: Engine) -> None:
    """Rates are samples here, which is said where they are."""
    app.extensions["pave"].of_test_mode.attention.renewed()
    assert "Rates are samples" in admin.open("/").id("attention").text
    assert "Nothing needs attention" in admin.open("/test/").id("attention").text
    endpoint, _ = webhook_endpoints.create(
        tried, by_the_system("x"), "https://receiver.example/hook", None, lambda _: b"sealed"
    )
    with transaction(tried) as connection:
        row = webhook_endpoints.locked(connection, endpoint.id)
        webhook_endpoints.paused(connection, by_the_system("x"), row, webhook_endpoints.FAILING)
    shown = admin.open("/test/").id("attention")
    assert "1 webhook endpoint is paused" in shown.text
    assert [link.attributes["href"] for link in shown.all("a")] == [f"/test/settings/webhooks/{endpoint.id}"]
    assert viewer.open("/test/").id("attention").all("a") == []
    assert "1 webhook endpoint is paused" not in admin.open("/").id("attention").text


def test_the_bounds_of_a_process_hold_for_both_modes_together(app: Flask) -> None:
    live = app.extensions["pave"]
    both = (live, live.of_test_mode)
    threads = max(8, live.config.web_threads)
    assert sum(system.live._most_threads + system.log_watch._most for system in both) <= threads


def test_whoever_asks_for_test_true_is_led_there(operator: Visitor, bill: Bill) -> None:
    asked = led(operator, "/bills?test=true&status=open&q=a%20b")
    assert asked == "/test/bills?status=open&q=a+b"
    assert led(operator, f"/bills/{bill.id}?test=true") == f"/test/bills/{bill.id}"
    operator.open("/bills?test=false")


def test_signing_in_leads_back_below_the_prefix(visitor: Visitor, bill: Bill) -> None:
    assert f"next=/test/bills/{bill.id}" in unquote(led(visitor, f"/test/bills/{bill.id}"))


class TestDocuments:
    def test_what_a_customer_sees_is_marked(self, operator: Visitor, visitor: Visitor, closed: Bill) -> None:
        page = operator.open(f"/test/bills/{closed.id}/shares")
        address = f"/test/bills/{closed.id}/shares"
        operator.send(address, page.form(address))
        links = [e.attributes.get("value", "") or e.text for e in operator.open(address) if "/b/" in str(e.attributes)]
        link = next(one for one in links if "/test/b/" in one)
        shown = visitor.open("/test/b/" + link.rpartition("/b/")[2])
        assert "Test: not an invoice. Nothing is to be paid." in shown.text
        assert f"Test bill No. {closed.printed_number}" in shown.text
        visitor.open("/b/" + link.rpartition("/b/")[2], status=404)

    def test_files_say_so(self, operator: Visitor, closed: Bill) -> None:
        csv = operator.client.get(f"/test/bills/{closed.id}/line-items.csv")
        heading, row, *_ = csv.text.splitlines()
        assert (heading.split(",")[-1], row.split(",")[-1]) == ("note", "Test: not an invoice")
        assert 'filename="test-bill-' in csv.headers["Content-Disposition"]
        pdf = operator.client.get(f"/test/bills/{closed.id}/document.pdf")
        assert (pdf.status_code, pdf.mimetype) == (200, "application/pdf")


def test_keys_say_of_which_mode_they_are(admin: Visitor, engine: Engine) -> None:
    api_keys.create(engine, name="a trial", role=Role.VIEWER, test=True)
    page = admin.open("/settings/api-keys")
    row = next(row for row in page.all("tr") if "a trial" in row.text)
    assert "Test" in [mark.text for mark in row.with_class("warn")]
    assert "pave_test_" in row.text
    form = admin.open("/settings/api-keys/new").form("/settings/api-keys")
    assert form["kind"] == "live"
    admin.send("/settings/api-keys", {**form, "name": "another", "kind": "test", "scopes": "bills:read"}, status=303)
    page = admin.open(admin.went_to)
    assert page.id("shown-key").text.startswith("pave_test_")


def led(visitor: Visitor, address: str) -> str:
    """Where it is led to."""
    answer = visitor.client.get(address)
    assert answer.status_code == 303
    return str(answer.headers["Location"])
