"""What a scrape says of differences by kind, and of the age of rates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, text

from billing.ledger import findings
from billing.ledger.consistency import OF_ROWS, Difference, Kind
from billing.ledger.database import transaction
from billing.settings import Settings
from tests.support import rates_history
from tests.support.scrapes import Scrape, read
from workflows.database_gauges import DatabaseGauges


@pytest.fixture(autouse=True)
def _nothing_found_and_no_rates_fetched(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM findings"))
        connection.execute(text("DELETE FROM rate_snapshots WHERE NOT sample"))


def test_differences_are_counted_by_kind_while_they_are_open(engine: Engine, database_url: str) -> None:
    bills = [uuid4(), uuid4()]
    found = [Difference(bill_id, "items don't add up", Kind.COUNTS) for bill_id in bills]
    found.append(Difference(bills[0], "it doesn't answer", Kind.SILENT))
    findings.note(engine, found, kinds=(), bill_ids=[])

    open_ = scraped(Settings(database_url))
    findings.note(engine, [], kinds=OF_ROWS, bill_ids=bills)
    resolved = scraped(Settings(database_url))

    assert (open_.value("pave_findings", kind="counts"), open_.value("pave_findings", kind="silent")) == (2, 1)
    assert open_.value("pave_findings") == 3
    assert (resolved.value("pave_findings"), resolved.value("pave_findings", kind="counts")) == (1, 0)


def test_a_kind_of_which_there_is_no_difference_is_there_all_the_same(database_url: str) -> None:
    said = scraped(Settings(database_url))

    assert {labels["kind"] for labels in said.labels("pave_findings")} == set(Kind)
    assert said.value("pave_findings") == 0


def test_differences_that_could_not_be_counted_are_absent_and_not_none(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counts(_engine: Engine) -> Mapping[Kind, int]:
        raise TimeoutError

    monkeypatch.setattr(findings, "counts", counts)
    said = scraped(Settings(database_url))

    assert said.value("pave_findings") is None
    assert said.value("pave_database_up") == 1


def test_rates_have_the_age_that_their_provider_gave_them_and_samples_have_none(
    engine: Engine, database_url: str
) -> None:
    configured = Settings(database_url, oxr_app_id="an app id")
    never = scraped(configured)
    store_rates(engine, age=timedelta(hours=30))
    stale = scraped(configured)
    store_rates(engine, age=timedelta(minutes=10))
    fresh = scraped(configured)
    samples = scraped(Settings(database_url))

    assert (never.value("pave_rates_age_seconds"), never.value("pave_rates_stale")) == (None, 1)
    assert 108_000 <= (stale.value("pave_rates_age_seconds") or 0) < 109_000
    assert stale.value("pave_rates_stale") == 1
    assert 600 <= (fresh.value("pave_rates_age_seconds") or 0) < 1_200
    assert fresh.value("pave_rates_stale") == 0
    assert (samples.value("pave_rates_age_seconds"), samples.value("pave_rates_stale")) == (None, 0)


def store_rates(engine: Engine, *, age: timedelta) -> None:
    rates_history.store(engine, {"GEL": "2.7"}, age=age)


def scraped(settings: Settings) -> Scrape:
    registry = CollectorRegistry()
    registry.register(DatabaseGauges(settings))
    return read(generate_latest(registry).decode())
