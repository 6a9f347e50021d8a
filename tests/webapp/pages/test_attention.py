"""The page of what needs somebody: causes, since when, and repairs for administrators. Temporal is out of reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from billing.identifiers import new_id
from billing.ledger import findings, reads, webhook_endpoints, webhook_removal
from billing.ledger.consistency import OF_ROWS, OF_THE_LEDGER, OF_WORKFLOWS, Difference, Kind
from billing.ledger.database import transaction
from tests.support.webhooks import made_endpoint
from webapp.pages.attention import FOUND_SHOWN, GONE, NO_TEMPORAL

KINDS = (*OF_ROWS, *OF_WORKFLOWS, *OF_THE_LEDGER, Kind.NO_BILL)


@pytest.fixture(autouse=True)
def _nothing_found(engine):
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM findings"))


@pytest.fixture
def found(engine):
    """Keeps a difference, and answers the finding."""

    def found(kind, bill_id=None, sentence="workflow: it says something else"):
        findings.note(engine, [Difference(bill_id, sentence, kind)], kinds=(), bill_ids=[])
        return findings.still_open(engine, after=None, limit=1000)[-1]

    return found


def named(page, finding):
    return page.id(f"finding-{finding.id}")


def test_nothing_found_is_said(viewer):
    page = viewer.open("/attention")
    assert not page.with_class("finding")
    assert "No differences" in page.text


def test_each_difference_stands_with_its_bill_its_cause_and_since_when(viewer, new_bill, found):
    bill = new_bill("mtkvari")
    finding = found(Kind.WEDGED, bill.id, "workflow: its task has failed 9 times: x<y")
    wedged = named(viewer.open("/attention"), finding)
    assert "The workflow is stuck" in wedged.text
    assert "its task has failed 9 times: x<y." in wedged.text
    assert wedged.all("a", href=f"/bills/{bill.id}")[0].text.startswith("mtkvari")
    assert "Since" in wedged.text
    assert viewer.open("/").has("concern-findings")


def test_every_kind_can_be_shown(admin, found):
    for kind in KINDS:
        found(kind, None if kind in OF_THE_LEDGER else uuid4())
    page = admin.open("/attention")
    assert len(page.with_class("finding")) == len(KINDS)


def test_only_administrators_see_and_use_repairs(viewer, operator, admin, new_bill, found):
    finding = found(Kind.WEDGED, new_bill().id)
    address = f"/attention/findings/{finding.id}/repair"
    for caller in (viewer, operator):
        page = caller.open("/attention")
        assert not named(page, finding).all("a", href=address)
        assert "An administrator can repair" in page.text
        assert caller.client.get(address).status_code == 403
        assert caller.client.post(address).status_code == 403
        assert caller.client.post("/attention/due-closures").status_code == 403
    assert named(admin.open("/attention"), finding).all("a", href=address)


def test_a_repair_says_first_what_it_does(admin, new_bill, found):
    destructive = found(Kind.AHEAD, new_bill().id)
    page = admin.open(f"/attention/findings/{destructive.id}/repair")
    assert "new epoch of the ledger" in page.text
    assert "It can't be undone" in page.text
    harmless = found(Kind.BEHIND, new_bill().id)
    assert "undone" not in admin.open(f"/attention/findings/{harmless.id}/repair").text


def test_without_temporal_a_repair_says_so_and_who_asked_is_kept(admin, engine, new_bill, found):
    finding = found(Kind.WEDGED, new_bill().id)
    address = f"/attention/findings/{finding.id}/repair"
    admin.send(address, admin.open(address).form(address), status=303)
    page = admin.open("/attention")
    assert NO_TEMPORAL in page.id("notices").text
    assert "admin@example.com asked for its repair" in named(page, finding).text


def test_rows_are_not_repaired_by_anybody(admin, new_bill, found):
    finding = found(Kind.SUMS, new_bill().id)
    address = f"/attention/findings/{finding.id}/repair"
    assert not named(admin.open("/attention"), finding).all("a", href=address)
    other = found(Kind.WEDGED, new_bill().id)
    form = admin.open(f"/attention/findings/{other.id}/repair").form(f"/attention/findings/{other.id}/repair")
    admin.send(address, form, status=303)
    assert GONE in admin.open("/attention").id("notices").text


def test_what_is_no_more_resolves_by_itself_and_says_when(viewer, admin, engine, new_bill, found):
    bill = new_bill()
    finding = found(Kind.BEHIND, bill.id)
    form = admin.open(address := f"/attention/findings/{finding.id}/repair").form(address)
    findings.note(engine, [], kinds=OF_WORKFLOWS, bill_ids=[bill.id])
    page = viewer.open("/attention")
    assert not page.with_class("finding")
    assert "no more since" in named(page, finding).text
    admin.send(address, form, status=303)
    assert GONE in admin.open("/attention").id("notices").text


def test_a_finding_nobody_knows_is_not_found(admin):
    admin.open(f"/attention/findings/{new_id()}/repair", status=404)
    admin.open("/attention/findings/nonsense/repair", status=404)


def test_ten_thousand_differences_are_paged(viewer, engine):
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO findings (id, bill_id, kind, cause) SELECT uuidv7(), uuidv7(), 'behind', 'x'"
                " FROM generate_series(1, 10000)"
            )
        )
    page = viewer.open("/attention")
    assert len(page.with_class("finding")) == FOUND_SHOWN
    first = {e.attributes["id"] for e in page.with_class("finding")}
    following = page.all("a", rel="next")[0].attributes["href"]
    second = {e.attributes["id"] for e in viewer.open(following).with_class("finding")}
    assert len(second) == FOUND_SHOWN
    assert not first & second
    attention = next(a for a in page.with_class("sections")[0].all("a") if a.text.startswith("Needs attention"))
    assert int(attention.text.rsplit(" ", 1)[1].replace(",", "")) >= 10_000
    assert viewer.open("/attention?after=nonsense").with_class("finding")


def test_what_is_overdue_is_closed_on_request(admin, engine, new_bill):
    bill = new_bill()
    with transaction(engine) as connection:
        past = datetime.now(UTC) - timedelta(minutes=5)
        moved = "UPDATE bills SET period_start = :start, period_end = :end WHERE id = :id"
        connection.execute(text(moved), {"id": bill.id, "start": past - timedelta(days=1), "end": past})
    page = admin.submit("/attention", "/attention/due-closures")
    assert "1 bill is closed" in page.id("notices").text
    assert reads.bill(engine, bill.id).is_closed


def test_a_webhook_endpoint_at_which_nothing_arrives_is_shown_without_its_address(viewer, admin, engine, origin):
    endpoint, _ = made_endpoint(engine, origin, "http://receiver.example/hooks?token=a-password")
    with transaction(engine) as connection:
        webhook_endpoints.paused(connection, origin, webhook_endpoints.locked(connection, endpoint.id), "failing")
    page = viewer.open("/attention")
    assert "1 webhook endpoint is paused" in page.text
    assert "receiver.example" in page.text
    assert "a-password" not in page.text
    # Who may resume it is led to it; nobody else could open it.
    place = f"/settings/webhooks/{endpoint.id}"
    assert admin.open("/attention").all("a", href=place)
    assert admin.open("/").all("a", href=place)
    assert page.all("a", href=place) == viewer.open("/").all("a", href=place) == []
    assert "Resume" in admin.open(place).text
    other, _ = made_endpoint(engine, origin, "http://other.example/hooks")
    with transaction(engine) as connection:
        webhook_endpoints.paused(connection, origin, webhook_endpoints.locked(connection, other.id), "failing")
    assert admin.open("/attention").id("concern-webhooks").all("a", href="/settings/webhooks")
    webhook_removal.remove(engine, origin, other.id)
    webhook_endpoints.resume(engine, origin, endpoint.id)
    webhook_endpoints.pause(engine, origin, endpoint.id)
    assert "webhook endpoint" not in viewer.open("/attention").text
