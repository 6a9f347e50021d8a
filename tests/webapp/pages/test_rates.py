"""Rates, and an admin's word about them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

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


def test_an_attempt_by_hand_needs_an_admin_and_a_provider(admin, operator, viewer):
    for caller in (operator, viewer):
        assert caller.client.post("/rates/refreshes").status_code == 403
    page = admin.open("/rates")
    assert not page.all("form", action="/rates/refreshes")
    admin.send("/rates/refreshes", {"csrf_token": csrf(page), "idempotency_key": "a"}, status=303)
    assert "No provider is configured" in admin.open("/rates").id("notices").text


def csrf(page):
    return page.all("input", name="csrf_token")[0].attributes["value"]


def test_rates_per_another_base_and_the_way_back(viewer):
    rows = {row.all("th")[0].text: row.text for row in viewer.open("/rates?base=EUR").id("rates-per-base").all("tr")}
    assert rows["GEL"] == "GEL 3.14705 0.317758"
    assert rows["USD"] == "USD 1.16333 0.8596"
    assert "EUR" not in rows
    assert "quotients" in viewer.open("/rates?base=EUR").id("rates-per-base").text
    rows = viewer.open("/rates?base=nothing").id("rates-per-base").text
    assert "per 1 USD" in rows


def test_samples_have_no_history(viewer):
    history = viewer.open("/rates?from=EUR&to=JPY&days=90").id("rate-history")
    assert "JPY per 1 EUR" in history.text
    assert "no history" in history.text
    assert not history.all("svg")


def test_a_currency_without_a_rate_says_so(viewer, engine):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE rate_snapshots SET rates = rates - 'KWD' WHERE sample"))
    rows = {row.all("th")[0].text: row.text for row in viewer.open("/rates").id("rates-per-base").all("tr")}
    with transaction(engine) as connection:
        connection.execute(text("""UPDATE rate_snapshots SET rates = rates || '{"KWD": "0.30694"}' WHERE sample"""))
    assert rows["KWD"] == "KWD no rate"
