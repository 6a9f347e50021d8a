"""What the rail and the overview say about rates and Temporal."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from billing.ledger import rates as stored
from billing.ledger.database import transaction
from tests.support import rates_history
from tests.support.stopwatch import stopwatch
from webapp import attention
from webapp.attention import TemporalReach, look


@pytest.fixture
def with_provider(make_app, config, engine):
    """A system for which samples don't count, and no rates were fetched."""
    app = make_app(replace(config, settings=replace(config.settings, oxr_app_id="an app id")))
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM rate_snapshots WHERE NOT sample"))
        connection.execute(text("DELETE FROM rate_refreshes"))
    return app.extensions["pave"]


@pytest.fixture
def store(engine):
    def store_(gel, *, age=timedelta(0), state="accepted"):
        rates_history.store(engine, {"GEL": gel}, age=age, state=state)

    return store_


def causes(system):
    return {c.name: c.cause for c in look(system).concerns if c.name.startswith("rates")}


def test_sample_rates_are_said_only_where_no_provider_is_configured(app, with_provider, store):
    assert set(causes(app.extensions["pave"])) == {"rates-sample"}
    store("2.7")
    assert causes(with_provider) == {}


def test_that_there_are_no_rates_is_said_with_what_became_of_fetching_them(with_provider):
    assert causes(with_provider) == {
        "rates-none": "Nobody has asked the provider yet. Conversions wait for them.",
    }
    stored.record_attempt(with_provider.engine, "invalid_app_id")
    assert "ended with: invalid app id" in causes(with_provider)["rates-none"]


def test_stale_rates_are_said_with_their_age(with_provider, store):
    store("2.7", age=timedelta(hours=30))
    stored.record_attempt(with_provider.engine, "timeout")
    cause = causes(with_provider)["rates-stale"]
    assert "1 d 6 h old" in cause
    assert "ended with: timeout" in cause


def test_rates_that_await_a_decision_are_said_with_what_moved(with_provider, store):
    store("2.7")
    store("27", state="quarantined")
    assert "more than a factor of two: GEL" in causes(with_provider)["rates-quarantined"]


def test_the_graver_comes_first(app):
    concerns = look(app.extensions["pave"]).concerns
    assert [c.is_grave for c in concerns] == sorted((c.is_grave for c in concerns), reverse=True)
    assert concerns[0].name == "worker"


class TestTemporalReach:
    def test_an_answer_that_takes_long_is_not_waited_for_and_counts_once_it_is_there(self):
        answer: Future[bool] = Future()
        reach = TemporalReach(lambda: answer)
        with stopwatch() as took:
            assert reach() is None
        assert took.s < 1
        answer.set_result(False)
        assert reach() is False

    def test_it_is_asked_again_after_a_while_and_the_last_answer_serves_meanwhile(self, monkeypatch):
        answers: list[Future[bool]] = [Future(), Future()]
        answers[0].set_result(True)
        reach = TemporalReach(lambda: answers.pop(0))
        assert reach() is True
        assert reach() is True
        assert len(answers) == 1
        monkeypatch.setattr(attention, "TEMPORAL_FOR_S", -1)
        later = answers[0]
        assert reach() is True
        later.set_result(False)
        answers.append(later)
        assert reach() is False

    def test_a_question_that_fails_means_out_of_reach(self):
        answer: Future[bool] = Future()
        answer.set_exception(RuntimeError())
        assert TemporalReach(lambda: answer)() is False
