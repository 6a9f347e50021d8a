"""Fetching rates from the page, from a provider that answers as documented."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from billing.identifiers import new_id
from billing.settings import Settings
from tests.support.rates_provider import RatesProvider
from tests.support.stopwatch import stopwatch
from tests.support.visitor import Visitor
from webapp.config import Config
from webapp.identity.roles import Role
from webapp.pages import rates

ADDRESS = "/rates/refreshes"


@pytest.fixture(scope="module")
def provider():
    with RatesProvider() as running:
        yield running


@pytest.fixture(scope="module")
def app(make_app, database_url, provider):
    settings = Settings(database_url, temporal_address="127.0.0.1:1", oxr_app_id=provider.app_id, oxr_url=provider.url)
    return make_app(Config(settings, secret_key="a secret of the tests", log_level="ERROR"))


@pytest.fixture
def admin(app, accounts, provider, engine, monkeypatch):
    # What comes from the provider comes within this even on a busy machine.
    monkeypatch.setattr(rates, "WAIT_FOR_PROVIDER_S", 60)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM rate_refreshes"))
        connection.execute(text("DELETE FROM rate_snapshots WHERE NOT sample"))
    provider.behave("normally")
    return Visitor(app.test_client()).signed_in(accounts[Role.ADMIN])


def refresh(admin, form=None):
    form = form or admin.open("/rates").form(ADDRESS)
    admin.send(ADDRESS, form, status=303)
    return admin.open("/rates")


def test_new_rates_are_in_use_at_once_and_the_event_names_the_admin(admin, provider, engine):
    assert "No rates" in admin.open("/rates").text
    provider.publish(GEL="2.9")
    page = refresh(admin, admin.open("/rates").form(ADDRESS))
    assert "New rates are in use" in page.id("notices").text
    assert "GEL 2.9 0.344828" in page.id("rates-per-base").text
    assert "Accepted" in page.with_class("attempts")[0].text
    with engine.begin() as connection:
        actor = connection.execute(text("SELECT actor_name FROM events WHERE type = 'rates.refreshed'")).scalars().all()
    assert actor[-1] == "admin@example.com"


def test_a_second_time_within_a_minute_asks_nobody(admin, provider):
    form = admin.open("/rates").form(ADDRESS)
    page = refresh(admin, form)
    (button,) = [b for b in page.all("button") if b.text == "Refresh now"]
    assert "disabled" in button.attributes
    asked = len(provider.requests)
    page = refresh(admin, form)
    assert "fetched again in" in page.id("notices").text
    assert len(provider.requests) == asked


def test_a_provider_that_fails_changes_nothing_and_says_why(admin, provider, engine):
    refresh(admin)
    with engine.begin() as connection:
        connection.execute(text("UPDATE rate_refreshes SET attempted_at = attempted_at - interval '2 min'"))
    provider.behave("server_error")
    page = refresh(admin)
    assert "the last good rates stay" in page.id("notices").text
    assert "failed with status" in page.with_class("attempts")[0].text
    assert page.has("rates-per-base")


def test_nobody_waits_long_for_a_slow_provider(admin, provider, monkeypatch):
    monkeypatch.setattr(rates, "WAIT_FOR_PROVIDER_S", 0.2)
    provider.behave("slow_headers", pause_s=0.5)
    with stopwatch() as took:
        page = refresh(admin)
    assert took.s < 3
    assert "takes its time" in page.id("notices").text
    provider.behave("normally")
    deadline = time.monotonic() + 60
    while "None yet." in admin.open("/rates").text:
        assert time.monotonic() < deadline, "the attempt was never recorded"
        time.sleep(0.1)


def test_the_history_of_a_pair_is_drawn_with_its_figures_beside_it(admin, engine):
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for days in range(40, 0, -1):
            at = now - timedelta(days=days)
            figures = json.dumps({"USD": "1", "EUR": "0.5", "GEL": f"{2 + days / 100:.2f}"})
            connection.execute(
                text(
                    "INSERT INTO rate_snapshots"
                    " (id, provider, base, provider_time, fetched_at, accepted_at, rates, state)"
                    " VALUES (:id, 'test', 'USD', :at, :at, :at, CAST(:figures AS jsonb), 'accepted')"
                ),
                {"id": new_id(), "at": at, "figures": figures},
            )
    history = admin.open("/rates?from=EUR&to=GEL&days=90").id("rate-history")
    (drawing,) = history.all("svg")
    assert drawing.attributes["role"] == "img"
    assert "GEL per 1 EUR" in drawing.all("title")[0].text
    assert "from 4.8 to 4.02" in drawing.all("desc")[0].text
    assert len(history.all("tbody")[0].all("tr")) == 40
    assert "Lowest 4.02, highest 4.8." in history.text
    shorter = admin.open("/rates?from=EUR&to=GEL&days=30").id("rate-history")
    assert len(shorter.all("tbody")[0].all("tr")) in {29, 30}
