from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from billing.identifiers import new_id
from tests.support.api import Api


def test_the_snapshot_in_use_is_shown_with_its_age(api: Api):
    rates = api.get("/rates").json["data"]

    assert rates["base"] == "USD"
    assert rates["sample"] is True
    assert rates["rates"]["USD"] == "1"
    assert isinstance(rates["stale"], bool)
    assert rates["age_seconds"] >= 0
    assert rates["updated_at"] <= rates["fetched_at"]


def test_rates_per_another_base_are_quotients(api: Api):
    per_dollar = api.get("/rates").json["data"]["rates"]

    per_euro = api.get("/rates?base=EUR").json["data"]

    assert per_euro["base"] == "EUR"
    assert per_euro["rates"]["EUR"] == "1"
    assert abs(Decimal(per_euro["rates"]["GEL"]) * Decimal(per_dollar["EUR"]) - Decimal(per_dollar["GEL"])) < 1e-9


@pytest.fixture
def quarantined(engine: Engine):
    id_, instant = new_id(), datetime.now(UTC) - timedelta(minutes=1)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO rate_snapshots (id, provider, base, provider_time, fetched_at, rates, state)"
                """ VALUES (:id, 'test', 'USD', :at, :at, '{"USD": "1", "GEL": "9"}', 'quarantined')"""
            ),
            {"id": id_, "at": instant},
        )
    yield str(id_)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM rate_snapshots WHERE id = :id"), {"id": id_})


def test_what_is_in_quarantine_is_shown(api: Api, quarantined: str):
    assert api.get("/rates").json["data"]["quarantined"]["snapshot_id"] == quarantined


def test_an_admin_accepts_what_is_in_quarantine_however_often_it_is_said(admin: Api, quarantined: str):
    for _ in range(2):
        answer = admin.post(f"/rates/{quarantined}/accept")
        assert (answer.status_code, answer.json["data"]["state"]) == (200, "accepted")


def test_nobody_else_does(api: Api, viewer: Api, quarantined: str):
    assert api.post(f"/rates/{quarantined}/accept").status_code == 403
    assert viewer.post(f"/rates/{quarantined}/accept").status_code == 403


def test_unknown_rates_are_not_found(admin: Api):
    assert admin.post(f"/rates/{new_id()}/accept").status_code == 404
