"""Rates, and an admin's word about them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from billing.identifiers import new_id
from billing.ledger.database import transaction
from billing.ledger.tables.rates import RateSnapshotRow


@pytest.fixture
def quarantined(engine):
    now = datetime.now(UTC)
    snapshot_id = new_id()
    with transaction(engine) as connection:
        for id_, rate, state in ((new_id(), "2.7", "accepted"), (snapshot_id, "27", "quarantined")):
            connection.execute(
                insert(RateSnapshotRow).values(
                    id=id_,
                    provider="openexchangerates",
                    base="USD",
                    provider_time=now,
                    fetched_at=now,
                    rates={"USD": "1", "GEL": rate},
                    state=state,
                    accepted_at=now if state == "accepted" else None,
                )
            )
    return snapshot_id


def test_the_samples_say_that_they_are_samples(viewer):
    page = viewer.open("/rates")
    assert "samples" in page.text
    assert "GEL" in page.text


def test_an_admin_accepts_what_an_operator_can_only_see(quarantined, viewer, admin):
    address = f"/rates/{quarantined}/acceptance"
    seen = viewer.open("/rates").id("quarantined-rates")
    assert "GEL 2.7 27" in seen.text
    assert not seen.all("form")
    page = admin.submit("/rates", address)
    assert "Accepted" in page.id("notices").text
    assert not page.has("quarantined-rates")


def test_accepting_again_or_what_awaits_no_decision_is_no_fault(admin, quarantined):
    address = f"/rates/{quarantined}/acceptance"
    form = admin.open("/rates").form(address)
    admin.send(address, form, status=303)
    admin.send(address, form, status=303)
    admin.send(f"/rates/{new_id()}/acceptance", form, status=303)
    assert "no decision" in admin.open("/rates").id("notices").text
